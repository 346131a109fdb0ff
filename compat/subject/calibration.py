"""Mean activations: what a prompt comes to at a block, and at which block it can be read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from compat.subject.inputs import Inputs

if TYPE_CHECKING:
    from compat.subject.adaptable import AdaptableModel


class NoUsableBlockError(LookupError):
    """The last, second-last, middle and first block all hold NaN or infinity."""


@dataclass(frozen=True)
class MeanActivation:
    """The mean activation of a prompt, and the block that it was read at."""

    block: int
    vector: torch.Tensor
    """(width,), float32, on the CPU."""


@dataclass(frozen=True)
class Calibration:
    """The mean activations of several prompts, read in one batch."""

    blocks: tuple[torch.Tensor, ...]
    """Of each decoder block, (prompts, width), float32, on the CPU."""
    seconds: float
    """What the forward took."""

    @property
    def prompts_per_second(self) -> float:
        """Prompts read in a second."""
        return len(self.blocks[0]) / self.seconds


def usable_blocks(count: int) -> tuple[int, ...]:
    """The blocks at which a mean is tried, in order: last, second-last, middle, first."""
    return tuple(dict.fromkeys((count - 1, max(count - 2, 0), count // 2, 0)))


def first_usable(blocks: Sequence[torch.Tensor]) -> int:
    """The first of the usable blocks that holds neither NaN nor infinity.

    `blocks` are the states of every block. Raises NoUsableBlockError where there is none.
    """
    candidates = usable_blocks(len(blocks))
    for index in candidates:
        if bool(blocks[index].isfinite().all()):
            return index
    raise NoUsableBlockError(f"blocks {list(candidates)} all hold NaN or infinity")


def mean_over_text(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of hidden states, (batch, length, width), over each row's own tokens.

    `mask` is (batch, length). A row with a NaN among its own tokens has a NaN in its mean, in
    float32; what stands at padded positions does not count.
    """
    own = mask.bool().unsqueeze(-1).to(hidden.device)
    # `where`, not a product: NaN times zero is NaN, and padding may hold it.
    total = torch.where(own, hidden.float(), 0.0).sum(1)
    return (total / own.sum(1)).cpu()


def calibrate(subject: AdaptableModel, inputs: Inputs) -> Calibration:
    """Read a batch of prompts in one forward: their mean activations at every decoder block."""
    with subject.capture() as captured:
        started = time.perf_counter()
        subject.forward(inputs)
        seconds = time.perf_counter() - started
    means = (mean_over_text(captured[index][0], inputs.mask) for index in sorted(captured))
    return Calibration(tuple(means), seconds)
