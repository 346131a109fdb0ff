"""Answers, for fake tensors, to questions whose answers depend on data: the most that can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

_ZEROS: Mapping[bool, Any] = {True: 0.0, False: 0}
"""By whether the dtype is a floating-point one."""


class AtMost(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Lets models run that look for positions by value, as experts do for their tokens.

    Every position is found, and a single value that is asked for is zero: of each expert it is
    assumed that it gets every token. What is counted so is an upper bound for such a model, and
    what it is for every other.
    """

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer two questions; pass everything else on."""
        first = args[0] if args else None
        if isinstance(first, FakeTensor):
            if operation is torch.ops.aten.nonzero.default:
                return first.new_empty((first.numel(), first.dim()), dtype=torch.long)
            if operation is torch.ops.aten._local_scalar_dense.default:
                return _ZEROS[first.is_floating_point()]
        return operation(*args, **(kwargs or {}))
