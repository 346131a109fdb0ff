"""What is decided for a config as a whole before its fields are made small one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compat.weights.twin import fields, sizes
from compat.weights.twin.blocks import choose_run


@dataclass(frozen=True)
class Plan:
    """Small widths of one (sub)config, and the full-size numbers that rules compare with."""

    hidden: int
    embedding: int
    heads: int
    head: int
    rotary: int
    """Rotated dimensions of a head, for configs that state them as a number."""
    positions: int
    run: range
    """The full-size blocks that are kept."""
    full_heads: int | None
    """None where it has no attention."""
    full_blocks: int | None

    @property
    def blocks(self) -> int:
        """Blocks that are kept."""
        return len(self.run)

    def key_value_heads(self, full: int) -> int:
        """Key-value heads for `full` of them: one stays one, all stays all, some become half."""
        if full == 1:
            return 1
        return self.heads if full == self.full_heads else max(1, self.heads // 2)


def make_plan(values: Mapping[str, Any], parent: Plan | None) -> Plan:
    """Decide for the full-size `values` of one config.

    A head keeps its relation to the hidden width (equal to, wider or narrower than its share), and
    so does the embedding. A config without heads of its own goes by its parent's plan.
    """
    heads, hidden = fields.first(values, fields.HEADS), fields.first(values, fields.HIDDEN)
    if parent is not None and heads is None:
        return parent
    share = hidden / heads if hidden and heads else None
    full_head = None if values.get("kv_lora_rank") else fields.first(values, fields.HEAD)
    narrow = bool(share and full_head and full_head < share)
    wide = bool(share and full_head and full_head > share)
    embedding = fields.first(values, fields.EMBEDDING)
    squeezed = bool(embedding and hidden and embedding < hidden)
    width = sizes.WIDTH * (2 if narrow or squeezed else 1)
    small_heads = min(sizes.HEADS, heads or sizes.HEADS)
    head = sizes.NARROW_HEAD if narrow else width // small_heads * (2 if wide else 1)
    blocks = fields.first(values, fields.BLOCKS)
    return Plan(
        hidden=width,
        embedding=sizes.WIDTH if squeezed else width,
        heads=small_heads,
        head=head,
        rotary=_rotary(values.get("rotary_dim"), full_head or share, head),
        positions=_positions(values),
        run=choose_run(values, blocks) if blocks else range(0),
        full_heads=heads,
        full_blocks=blocks,
    )


def _rotary(full: Any, full_head: float | None, head: int) -> int:
    """The same fraction of a small head as of a full-size one, in pairs."""
    if not isinstance(full, int) or not full_head:
        return head
    return max(2, int(head * full / full_head) // 2 * 2)


def _positions(values: Mapping[str, Any]) -> int:
    """Positions: where the rotary embedding is stretched, in the same ratio as at full size."""
    full = values.get("max_position_embeddings")
    unstretched = fields.nested(values, "original_max_position_embeddings")
    if isinstance(full, int) and isinstance(unstretched, int) and unstretched > 0:
        return max(1, full // unstretched) * sizes.UNSTRETCHED_POSITIONS
    return sizes.POSITIONS
