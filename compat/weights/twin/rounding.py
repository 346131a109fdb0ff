"""Weights as 4-bit NormalFloat would hold them, computed in float: what teaching must survive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

BLOCK = 64
"""Weights that share one scale."""

_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
)  # fmt: skip


def nf4_rounded(weight: Tensor) -> Tensor:
    """`weight` after a round trip through nf4: blocks of 64 in memory order, scaled by absmax."""
    flat = weight.detach().reshape(-1)
    padded = torch.nn.functional.pad(flat, (0, -flat.numel() % BLOCK)).reshape(-1, BLOCK)
    scale = padded.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    levels = torch.tensor(_LEVELS, dtype=flat.dtype)
    boundaries = (levels[1:] + levels[:-1]) / 2
    rounded = levels[torch.bucketize(padded / scale, boundaries)] * scale
    return rounded.reshape(-1)[: flat.numel()].reshape(weight.shape)


def quantizable(model: nn.Module) -> list[nn.Parameter]:
    """Weights of all linear layers but the head, which stays in full precision."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    spared = set() if head is None else {id(head.weight)}
    linear = [module for module in model.modules() if isinstance(module, nn.Linear | Conv1D)]
    weights = [cast(nn.Parameter, module.weight) for module in linear]
    return [weight for weight in weights if id(weight) not in spared]


@contextmanager
def rounded_to_nf4(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Within the block `weights` hold their rounded values; gradients flow as if they did not."""
    kept = [weight.data for weight in weights]
    try:
        for weight in weights:
            weight.data = nf4_rounded(weight.data)
        yield
    finally:
        for weight, data in zip(weights, kept, strict=True):
            weight.data = data
