"""Soft prompts: vectors that stand before a text in the place of embedded tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Let no weight ask for a gradient; each asks again on leaving where it did before."""
    # By name: accelerate puts another tensor in the place of an offloaded weight at each forward.
    asking = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    _ask(model, asking, False)
    try:
        yield
    finally:
        _ask(model, asking, True)


def _ask(model: nn.Module, names: list[str], gradient: bool) -> None:
    for name in names:
        model.get_parameter(name).requires_grad_(gradient)


def draw_soft_prompt(embedded: torch.Tensor, length: int, *, seed: int) -> torch.Tensor:
    """Random vectors, (length, width), float32, as large as `embedded` tokens are on average.

    `embedded` is (..., width). They are drawn on the CPU, so that a seed gives the same anywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(length, embedded.shape[-1], generator=generator)
    size = embedded.detach().float().square().mean().sqrt()
    return drawn.to(embedded.device) * size


def put_before(
    vectors: torch.Tensor,
    embeds: torch.Tensor,
    mask: torch.Tensor,
    padding: Literal["left", "right"],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put `vectors`, (vectors, width), before the text of each row, and behind its padding.

    `embeds` are (batch, length, width), `mask` (batch, length) says which of them are text.
    Returns both with `vectors` more positions, padded with zeros on the side that is named.
    """
    longest = embeds.shape[1] + len(vectors)
    rows, masks = [], []
    for embedded, own in zip(embeds, mask.to(embeds.device), strict=True):
        row = torch.cat([vectors.to(embeds), embedded[own.bool()]])
        missing = longest - len(row)
        before, after = (missing, 0) if padding == "left" else (0, missing)
        rows.append(nn.functional.pad(row, (0, 0, before, after)))
        masks.append(nn.functional.pad(own.new_ones(len(row)), (before, after)))
    return torch.stack(rows), torch.stack(masks)
