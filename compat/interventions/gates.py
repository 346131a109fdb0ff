"""Gates on attention heads, where the heads are still apart: at the input of the output projection.

Nothing is added to the model and no weight is written to, so that quantized and offloaded weights
can be gated as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from compat.anatomy.anatomy import Anatomy, Block
from compat.anatomy.attention import Attention

Gates = Sequence[torch.Tensor]
"""One tensor, (heads,), for each gate site."""
GateSource = Callable[[int], torch.Tensor]
"""Gives the gates, (heads,), of the site of an index; asked anew at every forward."""


class HeadsNotFoundError(LookupError):
    """An attention of which the heads or the output projection are not known."""


@dataclass(frozen=True)
class GateSite:
    """An attention whose heads can be gated."""

    block: int
    kind: Literal["self", "cross"]
    attention: nn.Module
    projection: nn.Module
    heads: int

    @property
    def name(self) -> str:
        """For a reader, such as `block 3, self-attention`."""
        return f"block {self.block}, {self.kind}-attention"


def gate_sites(anatomy: Anatomy) -> tuple[GateSite, ...]:
    """Every attention of the decoder, in running order.

    Raises HeadsNotFoundError for one that can't be gated.
    """
    return tuple(
        _site(block, kind, attention)
        for block in anatomy.blocks
        for kind, attention in _attentions(block)
    )


def _attentions(block: Block) -> Iterator[tuple[Literal["self", "cross"], Attention]]:
    if block.attention is not None:
        yield "self", block.attention
    if block.cross_attention is not None:
        yield "cross", block.cross_attention


def _site(block: Block, kind: Literal["self", "cross"], attention: Attention) -> GateSite:
    if attention.projection is None or attention.heads is None or attention.head_width is None:
        raise HeadsNotFoundError(
            f"{attention.path} can't be gated: its output projection is "
            f"{attention.projection_path}, of width {attention.projection_width}, "
            f"for {attention.heads} heads"
        )
    return GateSite(block.index, kind, attention.module, attention.projection, attention.heads)


def open_gates(sites: Sequence[GateSite]) -> list[torch.Tensor]:
    """Gates that let every head through."""
    return [torch.ones(site.heads) for site in sites]


@contextmanager
def gate(sites: Sequence[GateSite], gates: GateSource) -> Iterator[None]:
    """Gate the heads of every site by what `gates` gives at each forward."""
    with ExitStack() as undo:
        for index, site in enumerate(sites):
            undo.callback(_gate_projection(site.projection, gates, index).remove)
        yield


@contextmanager
def gate_heads(projection: nn.Module, gates: torch.Tensor) -> Iterator[None]:
    """Multiply each head's share of what enters an attention output projection by its gate.

    `gates` is (heads,); the projection's input is (..., heads * head width). Raises ValueError,
    at the forward, where that width is no multiple of the number of heads.
    """
    handle = _gate_projection(projection, lambda _index: gates, 0)
    try:
        yield
    finally:
        handle.remove()


def _gate_projection(
    projection: nn.Module, source: GateSource, index: int
) -> torch.utils.hooks.RemovableHandle:
    def multiply(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (apply_gates(args[0], source(index)), *args[1:])

    return projection.register_forward_pre_hook(multiply)


def apply_gates(entering: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
    """What enters an output projection, (..., heads * head width), gated by (..., heads).

    Raises ValueError where that width is no multiple of the number of heads.
    """
    heads = gates.shape[-1]
    if entering.shape[-1] % heads:
        raise ValueError(f"a width of {entering.shape[-1]} does not divide into {heads} heads")
    split = entering.reshape(*entering.shape[:-1], heads, -1)
    return (split * gates.to(entering).unsqueeze(-1)).flatten(-2)
