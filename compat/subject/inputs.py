"""What goes into a model and what generation gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch


@dataclass(frozen=True)
class Inputs:
    """Token ids of a batch.

    `ids` and `mask`, (batch, length), are the decoder's stream: what a decoder-only model reads,
    or the decoder side of an encoder-decoder, whose encoder reads `encoder_ids`. `extra` holds
    further tensors under the names of the model's forward (`pixel_values`).
    """

    ids: torch.Tensor
    mask: torch.Tensor
    encoder_ids: torch.Tensor | None = None
    encoder_mask: torch.Tensor | None = None
    extra: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, ids: torch.Tensor, encoder_ids: torch.Tensor | None = None) -> Inputs:
        """Unpadded inputs: every mask is one."""
        return cls(
            ids,
            torch.ones_like(ids),
            encoder_ids,
            None if encoder_ids is None else torch.ones_like(encoder_ids),
        )

    @property
    def length(self) -> int:
        """Length of the decoder's stream."""
        return int(self.ids.shape[1])

    def first(self, length: int) -> Inputs:
        """The same, cut to the first `length` positions of the decoder's stream."""
        return replace(self, ids=self.ids[:, :length], mask=self.mask[:, :length])

    def with_ids(self, ids: torch.Tensor) -> Inputs:
        """The same with other token ids of the same shape."""
        return replace(self, ids=ids)

    @property
    def position_ids(self) -> torch.Tensor:
        """Positions, (batch, length), that count from the first token that is not padding."""
        return (self.mask.cumsum(-1) - 1).clamp(min=0)


Side = Literal["left", "right", "both"]


def pad_rows(
    rows: Sequence[torch.Tensor], token: int, sides: Side | Sequence[Side]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack rows of ids, (length,) each, into (batch, longest) with padding on these sides.

    `sides` is that of all rows, or one for each. Returns ids and mask.
    """
    each = [sides] * len(rows) if isinstance(sides, str) else sides
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), token, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, (row, side) in enumerate(zip(rows, each, strict=True)):
        padding = longest - len(row)
        start = {"left": padding, "right": 0, "both": padding // 2}[side]
        ids[number, start : start + len(row)] = row
        mask[number, start : start + len(row)] = 1
    return ids, mask


@dataclass(frozen=True)
class Generation:
    """What a model generated."""

    tokens: torch.Tensor
    """New tokens, (batch, steps); after its end a row is filled with padding."""
    logits: torch.Tensor
    """What the model gave at each step, (batch, steps, vocabulary), float32."""
    hidden_states: tuple[tuple[torch.Tensor, ...], ...] | None = None
    """A tuple a step, of the hidden states that the model reports."""

    def row(self, index: int = 0) -> list[int]:
        """The new tokens of one row."""
        return [int(token) for token in self.tokens[index]]
