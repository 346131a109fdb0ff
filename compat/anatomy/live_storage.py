"""How many bytes of tensors are alive at a time: counted at every operation, real or fake."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class TooManyOperationsError(RuntimeError):
    """More operations than were allowed."""


class LiveStorage(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Counts the storages that operations bring to life while the context is entered.

    What exists already, weights and inputs, is given as `known` and counts for nothing; neither
    does what a kernel allocates and frees inside of one operation. Views share the storage of
    what they view. Works on fake tensors just as on real ones. Raises TooManyOperationsError out
    of the operation that exceeds `most_operations`.
    """

    def __init__(
        self, known: Iterable[torch.Tensor], *, most_operations: int | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left = most_operations
        self.peak = 0
        """Most bytes that were alive at a time."""
        self.live = 0
        """Bytes that are alive now."""
        self._bytes: dict[int, int] = {}
        # Kept alive, so that no storage that is made later is taken for one of them.
        self._known = [tensor.untyped_storage() for tensor in known]
        self._known_keys = {_key(storage) for storage in self._known}

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation and count what it puts out."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise TooManyOperationsError("more operations than were allowed")
        output = _run(operation, args, kwargs or {})
        for leaf in tree_leaves(output):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf)
        return output

    def count(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage until it is freed, once."""
        storage = tensor.untyped_storage()
        key = _key(storage)
        if key in self._bytes or key in self._known_keys:
            return
        self._bytes[key] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self.live -= self._bytes.pop(key, 0)


def _run(operation: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run an operation; grouped matrix products of fake tensors in bfloat16, as torch asks.

    torch's kernel for the CPU takes any float, its fake one bfloat16 alone (2.13).
    """
    if operation is torch.ops.aten._grouped_mm.default and isinstance(args[0], FakeTensor):
        first, second, *others = args
        product = operation(first.bfloat16(), second.bfloat16(), *others, **kwargs)
        return product.to(first.dtype)
    return operation(*args, **kwargs)


def _key(storage: torch.UntypedStorage) -> int:
    return int(storage._cdata)
