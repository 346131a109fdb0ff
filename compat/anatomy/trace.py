"""One forward, recorded: which modules ran, in which order, on what widths.

Everything the anatomy knows is read off such a trace, so that no architecture has to be listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Call:
    """One call of a module during the traced forward."""

    path: str
    entered: int
    left: int
    input_width: int | None
    """Last dimension of the first tensor argument."""
    output_width: int | None


@dataclass(frozen=True)
class Trace:
    """All calls of a forward, in the order in which the modules were entered."""

    calls: tuple[Call, ...]

    def of(self, path: str) -> tuple[Call, ...]:
        """The calls of one module."""
        return tuple(call for call in self.calls if call.path == path)

    def inside(self, path: str) -> tuple[Call, ...]:
        """The calls of the modules below `path`."""
        prefix = f"{path}."
        return tuple(call for call in self.calls if call.path.startswith(prefix))


def trace_forward(model: nn.Module, run: Callable[[], object]) -> Trace:
    """Call `run` once and record what ran of `model`; every hook is removed again."""
    clock = 0
    entered: dict[str, list[tuple[int, int | None]]] = {}
    calls: list[Call] = []
    handles: list[torch.utils.hooks.RemovableHandle] = []

    def tick() -> int:
        nonlocal clock
        clock += 1
        return clock

    def watch(path: str, module: nn.Module) -> None:
        def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tensor = first_tensor((*args, *kwargs.values()))
            entered.setdefault(path, []).append((tick(), _width(tensor)))

        def after(_module: nn.Module, _args: Any, output: Any) -> None:
            start, width = entered[path].pop()
            calls.append(Call(path, start, tick(), width, _width(first_tensor((output,)))))

        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after))

    try:
        for path, module in model.named_modules():
            if path:
                watch(path, module)
        run()
    finally:
        for handle in handles:
            handle.remove()
    return Trace(tuple(sorted(calls, key=lambda call: call.entered)))


def first_tensor(values: tuple[Any, ...]) -> torch.Tensor | None:
    """The first tensor among `values`, looking one level into tuples and lists."""
    for value in values:
        if isinstance(value, torch.Tensor):
            return value
        if isinstance(value, tuple | list):
            for inner in value:
                if isinstance(inner, torch.Tensor):
                    return inner
    return None


def _width(tensor: torch.Tensor | None) -> int | None:
    return tensor.shape[-1] if tensor is not None and tensor.dim() > 0 else None
