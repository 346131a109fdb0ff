"""How many bytes of tensors are alive at a time: counted at every operation, real or fake."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_DEVICE = torch.ops.prim.device.default

CUDA_BLOCK = 512
CUDA_LARGE = 2**20
"""torch's allocator for CUDA rounds up to blocks of 512 bytes. With a block above 1 MiB it leaves
up to 1 MiB more, rather than to cut that off (`should_split` in its CUDACachingAllocator)."""


class TooManyOperationsError(RuntimeError):
    """More operations than were allowed."""


@dataclass(frozen=True)
class Stretch:
    """What comes to pass between two marks."""

    grown: int
    """Bytes that are alive at its end and were not at its beginning; less than none if freed."""
    peak: int
    """Most bytes alive in it beyond those at its beginning."""
    operations: int


class LiveStorage(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Counts the storages that operations bring to life while the context is entered.

    What exists already, weights and inputs, is given as `known` and counts for nothing; neither
    does what a kernel allocates and frees inside of one operation. Views share the storage of
    what they view. Works on fake tensors just as on real ones. Raises TooManyOperationsError out
    of the operation that exceeds `most_operations`.
    """

    def __init__(
        self,
        known: Iterable[torch.Tensor],
        *,
        most_operations: int | None = None,
        packed: Iterable[torch.Tensor] = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._packed = {_key(tensor.untyped_storage()) for tensor in packed}
        """Weights of which each operation that takes them unpacks a copy as large as they are."""
        self.peak_unpacking = 0
        """Most bytes alive at a time, such a copy included while its operation runs."""
        self.rounding = 0
        """Most that CUDA's allocator may add, by rounding up, to what is alive at a time."""
        self._rounding_now = 0
        self._most_operations = most_operations
        self.peak = 0
        """Most bytes that were alive at a time."""
        self.live = 0
        """Bytes that are alive now."""
        self.operations = 0
        """How many were run."""
        self._marked = (0, 0)
        """Bytes alive and operations run at the last mark."""
        self._peak_since_mark = 0
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
        self.operations += 1
        if self._most_operations is not None and self.operations > self._most_operations:
            raise TooManyOperationsError("more operations than were allowed")
        if operation is _DEVICE and isinstance(args[0], FakeTensor):
            return args[0].fake_device  # two of three operations of a backward ask for it
        output = _run(operation, args, kwargs or {})
        for leaf in tree_leaves(output):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf)
        if self._packed:
            copies = _storages(tree_leaves((args, kwargs or {})))
            copy = max((copies[key] for key in copies.keys() & self._packed), default=0)
            self.peak_unpacking = max(self.peak_unpacking, self.live + copy)
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
        self._peak_since_mark = max(self._peak_since_mark, self.live)
        self._rounding_now += cuda_rounding(storage.nbytes())
        self.rounding = max(self.rounding, self._rounding_now)
        weakref.finalize(storage, self._freed, key)

    def mark(self) -> Stretch:
        """End a stretch, which began with the last mark, and begin the next."""
        live, operations = self._marked
        stretch = Stretch(
            self.live - live, self._peak_since_mark - live, self.operations - operations
        )
        self._marked = (self.live, self.operations)
        self._peak_since_mark = self.live
        return stretch

    @contextmanager
    def at_most(self, operations: int | None) -> Iterator[None]:
        """Allow no more operations inside of the context; None: as many as it is."""
        before = self._most_operations
        if operations is not None:
            most = self.operations + operations
            self._most_operations = most if before is None else min(before, most)
        try:
            yield
        finally:
            self._most_operations = before

    def _freed(self, key: int) -> None:
        freed = self._bytes.pop(key, 0)
        self.live -= freed
        self._rounding_now -= cuda_rounding(freed)


def cuda_rounding(nbytes: int) -> int:
    """The most that CUDA's allocator adds to a tensor of so many bytes."""
    if nbytes == 0:
        return 0
    return CUDA_BLOCK if nbytes <= CUDA_LARGE else CUDA_BLOCK + CUDA_LARGE


def _storages(leaves: Iterable[Any]) -> dict[int, int]:
    """Bytes of the storages of those that are tensors, by key."""
    storages = (one.untyped_storage() for one in leaves if isinstance(one, torch.Tensor))
    return {_key(storage): storage.nbytes() for storage in storages}


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
