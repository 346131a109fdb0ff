"""Skip connections through a stack, as in a U-Net: from block i to block n-1-i."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from compat.interventions.hidden import hidden_of, with_hidden


def skip_pairs(blocks: int) -> list[tuple[int, int]]:
    """From which block to which, outermost first; a block in the middle has none."""
    return [(first, blocks - 1 - first) for first in range(blocks // 2)]


@contextmanager
def skip_connections(blocks: Sequence[nn.Module], scale: Callable[[], float]) -> Iterator[None]:
    """Add what block i puts out, times a scale, to what block n-1-i puts out.

    `scale` is asked at every forward. Each call of the model, so each step of a generation, adds
    its own states.
    """
    kept: dict[int, torch.Tensor] = {}

    def keep(first: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            kept[first] = hidden_of(output)

        return hook

    def add(first: int) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
            hidden = hidden_of(output)
            # A checkpointed block runs once more in the backward pass and reads its source again.
            early = kept[first] if torch.is_grad_enabled() else kept.pop(first)
            return with_hidden(output, hidden + scale() * early.to(hidden))

        return hook

    with ExitStack() as undo:
        for first, last in skip_pairs(len(blocks)):
            undo.callback(blocks[first].register_forward_hook(keep(first)).remove)
            undo.callback(blocks[last].register_forward_hook(add(first)).remove)
        yield
