"""Capture, edit, steer and patch by forward hooks. Every one of them is undone on leaving."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from compat.interventions.hidden import hidden_of, with_hidden

Edit = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def capture(modules: Mapping[int, nn.Module]) -> Iterator[dict[int, list[torch.Tensor]]]:
    """Collect the hidden state of every call of each module, as it is: attached to the graph.

    Yields index -> hidden states, (batch, length, width) each, one a call.
    """
    captured: dict[int, list[torch.Tensor]] = {index: [] for index in modules}

    def collector(index: int) -> Callable[[nn.Module, Any, Any], None]:
        def collect(_module: nn.Module, _args: Any, output: Any) -> None:
            captured[index].append(hidden_of(output))

        return collect

    with ExitStack() as undo:
        for index, module in modules.items():
            undo.callback(module.register_forward_hook(collector(index)).remove)
        yield captured


@contextmanager
def count_calls(modules: Sequence[nn.Module]) -> Iterator[list[int]]:
    """Collect the indices of `modules` in the order in which they run."""
    order: list[int] = []

    def counter(index: int) -> Callable[[nn.Module, Any, Any], None]:
        def count(_module: nn.Module, _args: Any, _output: Any) -> None:
            order.append(index)

        return count

    with ExitStack() as undo:
        for index, module in enumerate(modules):
            undo.callback(module.register_forward_hook(counter(index)).remove)
        yield order


@contextmanager
def edit_output(module: nn.Module, edit: Edit) -> Iterator[None]:
    """Replace the module's hidden state, (batch, length, width), by `edit` of it."""

    def replace(_module: nn.Module, _args: Any, output: Any) -> Any:
        return with_hidden(output, edit(hidden_of(output)))

    handle = module.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def steer(module: nn.Module, direction: torch.Tensor, *, start: int = 0) -> Iterator[None]:
    """Add `direction`, (width,), to the hidden state at every position from `start` on."""

    def add(hidden: torch.Tensor) -> torch.Tensor:
        steered = hidden.clone()
        steered[:, start:] += direction.to(hidden)
        return steered

    with edit_output(module, add):
        yield


@contextmanager
def patch(module: nn.Module, hidden: torch.Tensor) -> Iterator[None]:
    """Put `hidden`, (batch, length, width), in the place of the module's hidden state.

    Raises ValueError, at the forward, where the shapes differ.
    """

    def replace(own: torch.Tensor) -> torch.Tensor:
        if own.shape != hidden.shape:
            raise ValueError(
                f"cannot patch a hidden state of shape {tuple(own.shape)} "
                f"by one of shape {tuple(hidden.shape)}"
            )
        return hidden.to(own)

    with edit_output(module, replace):
        yield
