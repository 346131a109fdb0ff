"""Choosing a run of blocks that holds every kind of block the model has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.weights.twin import sizes

_DENSE_FIRST = ("first_k_dense_replace", "num_dense_layers")
_INDEX_LISTS = ("mlp_only_layers", "attn_layer_indices", "cross_attention_layers")


def choose_run(fields: Mapping[str, Any], blocks: int) -> range:
    """The shortest run of at least two neighbouring blocks with every kind, the first such run.

    `fields` are the values of a full-size config with `blocks` blocks.
    """
    kinds = [_kind(fields, blocks, index) for index in range(blocks)]
    for length in range(min(sizes.LEAST_BLOCKS, blocks), blocks + 1):
        for start in range(blocks - length + 1):
            if set(kinds[start : start + length]) == set(kinds):
                return range(start, start + length)
    return range(blocks)


def cut_to_run(fields: Mapping[str, Any], blocks: int, run: range) -> dict[str, Any]:
    """Per-block fields of `fields`, cut so that block 0 is the first block of `run`."""
    cut: dict[str, Any] = {}
    for name, value in fields.items():
        if is_per_block(value, blocks):
            cut[name] = [value[index] for index in run]
        elif name in _DENSE_FIRST and isinstance(value, int):
            cut[name] = min(max(0, value - run.start), len(run))
        elif name in _INDEX_LISTS and isinstance(value, list | tuple):
            cut[name] = [index - run.start for index in value if index in run]
        elif name == "decoder_sparse_step" and isinstance(value, int):
            cut[name] = value if run.start % value == 0 else 1
    for stem, period, offset in _periods(fields):
        cut[f"{stem}_offset"] = (offset - run.start) % period
    return cut


def _kind(fields: Mapping[str, Any], blocks: int, index: int) -> tuple[Any, ...]:
    """All that the config says of block `index` in particular."""
    kind: list[Any] = [value[index] for value in fields.values() if is_per_block(value, blocks)]
    kind += [index % period == offset for _, period, offset in _periods(fields)]
    kind += [index >= fields[name] for name in _DENSE_FIRST if isinstance(fields.get(name), int)]
    kind += [index in fields[name] for name in _INDEX_LISTS if fields.get(name)]
    step = fields.get("decoder_sparse_step")
    if isinstance(step, int) and step > 0:
        kind.append((index + 1) % step == 0)
    return tuple(kind)


def is_per_block(value: Any, blocks: int) -> bool:
    """Whether a field is a list with an entry for each of `blocks` blocks."""
    return (
        isinstance(value, list | tuple)
        and len(value) == blocks > sizes.LEAST_BLOCKS
        and all(isinstance(item, str | int | float | bool) for item in value)
    )


def _periods(fields: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """(stem, period, offset) of every pair of fields `stem_period`, `stem_offset`."""
    stems = [name.removesuffix("_period") for name in fields if name.endswith("_period")]
    return [
        (stem, fields[f"{stem}_period"], fields[f"{stem}_offset"])
        for stem in sorted(stems)
        if isinstance(fields[f"{stem}_period"], int)
        and isinstance(fields.get(f"{stem}_offset"), int)
    ]
