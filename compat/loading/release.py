"""Giving a loaded model's memory back, even where somebody still holds a reference."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType

import torch
from torch import nn

from compat.loading.loaded import Loaded
from compat.loading.memory import return_freed_memory

WORTH_A_FULL_COLLECTION = 2**28
"""Bytes of weights beside which the third of a second of a full garbage collection is nothing."""


def release(loaded: Loaded, exceptions: Iterable[BaseException] = ()) -> None:
    """Free a loaded target: its weights, hooks, offload folder and log filters.

    `exceptions` are those that its checks raised: the frames of their tracebacks hold the model
    and are cleared, so report them first. Releasing twice does nothing.
    """
    model, loaded.model, loaded.tokenizer = loaded.model, None, None
    forget_exceptions(exceptions)
    if model is not None:
        _take_apart(model)
        del model
    if loaded.weights_bytes < WORTH_A_FULL_COLLECTION:
        return_freed_memory()  # of what came since the load; `undo` brings the rest back
        loaded.undo.close()
    else:
        loaded.undo.close()
        return_freed_memory()


def forget_exceptions(exceptions: Iterable[BaseException] = ()) -> None:
    """Clear the local variables that tracebacks keep alive, and the interpreter's last error."""
    pending = [*exceptions, *(getattr(sys, name, None) for name in ("last_exc", "last_value"))]
    seen: set[int] = set()
    while pending:
        exception = pending.pop()
        if exception is None or id(exception) in seen:
            continue
        seen.add(id(exception))
        for frame, _ in traceback.walk_tb(exception.__traceback__):
            _clear_locals(frame)
        pending += [exception.__cause__, exception.__context__]
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        if hasattr(sys, name):
            delattr(sys, name)


def _clear_locals(frame: FrameType) -> None:
    with suppress(RuntimeError):  # a frame that still runs keeps its variables
        frame.clear()
    # Up to Python 3.12 the dictionary that a debugger or pytest once asked for outlives `clear`;
    # asking again brings it up to date.
    frame.f_locals  # noqa: B018


def _take_apart(model: nn.Module) -> None:
    """Empty every weight in place: a forgotten reference then keeps objects, not gigabytes."""
    with torch.no_grad():
        for module in model.modules():
            _remove_accelerate_hook(module)
            _drop_quantization_state(module)
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None and not tensor.is_meta:
                    tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
                    tensor.grad = None


def _remove_accelerate_hook(module: nn.Module) -> None:
    """Drop an offload hook without letting it bring its weights back, as accelerate's own would."""
    if module.__dict__.pop("_hf_hook", None) is not None:
        module.__dict__.pop("_old_forward", None)
        module.__dict__.pop("forward", None)


def _drop_quantization_state(module: nn.Module) -> None:
    weight = module._parameters.get("weight")
    for holder, names in (
        (weight, ("CB", "SCB", "quant_state")),
        (getattr(module, "state", None), ("CB", "SCB")),
        (module, ("quant_state",)),
    ):
        for name in names:
            if name in getattr(holder, "__dict__", {}):
                setattr(holder, name, None)
