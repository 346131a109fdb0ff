"""What a loaded model occupies, and giving memory back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor, nn

_FROZEN: ContextVar[bool] = ContextVar("older objects are left uncollected", default=False)
_COLLECTED: ContextVar[float | None] = ContextVar("all objects were last collected", default=None)
"""When, on the monotonic clock; None before the first load."""
SECONDS_BETWEEN_FULL_COLLECTIONS = 20.0
"""So seldom that walking all that torch and transformers have made is next to none of the time."""

LARGE = 2**20
MOST_ON_HEAP = 32 * 2**20
"""Bytes. What glibc raises its threshold to by itself, on systems of 64 bits."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of malloc's parameters: `M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of malloc.h."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that a model's weights are stored in, each storage counted once."""

    stored: int
    """All parameters and buffers, and the scales and codes of quantized layers."""
    offloaded: int
    """The part of `stored` that waits elsewhere: meta tensors of an offloaded model."""


def footprint(model: nn.Module) -> Footprint:
    """Measure a model's weights.

    `PreTrainedModel.get_memory_footprint` leaves out what quantized layers keep beside their
    weight (absmax, code book, row scales) and counts tied weights of meta tensors twice.
    """
    stored: dict[int, int] = {}
    offloaded: dict[int, int] = {}
    tied = getattr(model, "all_tied_weights_keys", {})
    for name, tensor in _weight_tensors(model):
        if tensor.is_meta:
            # Meta tensors have no storage to tell by that they are tied, and accelerate makes one
            # object a name of them at the first forward.
            if name not in tied:
                offloaded[id(tensor)] = tensor.numel() * tensor.element_size()
        else:
            storage = tensor.untyped_storage()
            stored[storage.data_ptr()] = storage.nbytes()
    waiting = sum(offloaded.values())
    return Footprint(stored=sum(stored.values()) + waiting, offloaded=waiting)


def resident_bytes() -> int:
    """Resident memory of this process, in bytes."""
    return int(psutil.Process().memory_info().rss)


@contextmanager
def older_objects_uncollected() -> Iterator[None]:
    """Leave what exists already out of garbage collections until the context ends.

    torch and transformers make half a million objects that never die, and walking them costs more
    than loading a small model. Nothing happens inside another such context. What became garbage
    among them is collected at the end of one of these contexts, every now and then: once unfrozen
    it is old to Python, which walks its old objects the less often the more there are.
    """
    if _FROZEN.get():  # `gc.get_freeze_count` would walk those objects to count them
        yield
        return
    if _COLLECTED.get() is None:
        _COLLECTED.set(time.monotonic())
    gc.freeze()
    _FROZEN.set(True)
    try:
        yield
    finally:
        _FROZEN.set(False)
        gc.unfreeze()
        _collect_all_if_due()


def _collect_all_if_due() -> None:
    last = _COLLECTED.get()
    if last is not None and time.monotonic() - last > SECONDS_BETWEEN_FULL_COLLECTIONS:
        gc.collect()
        _COLLECTED.set(time.monotonic())


def return_freed_memory() -> None:
    """Collect garbage and hand freed memory back: CUDA's cache to the driver, malloc's to the OS.

    glibc keeps what was freed for the next allocation; over many models of differing sizes its
    arenas grow although nothing is alive.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only; musl has none
        if trim is not None:
            trim(0)


@contextmanager
def large_pieces_given_back() -> Iterator[None]:
    """Inside, memory of a megabyte or more goes back to the system as soon as it is freed.

    glibc takes pieces of up to 32 MiB from its heap once it has met one, and what is freed there
    below something that stays is not given back. Quantizing frees a matrix for each that it makes,
    and a 4-bit layer unpacks one whenever it runs: a process grew far beyond what it held.
    Outside, where activations come and go, the heap is faster. Does nothing where malloc is not
    glibc's.
    """
    if not _set_malloc(_MMAP_THRESHOLD, LARGE):
        yield
        return
    try:
        yield
    finally:
        _set_malloc(_MMAP_THRESHOLD, MOST_ON_HEAP)
        _set_malloc(_TRIM_THRESHOLD, 2 * MOST_ON_HEAP)


def _set_malloc(parameter: int, value: int) -> bool:
    """Set a parameter of glibc's malloc. Returns whether there is one to set."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(parameter, value))


def _weight_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for path, module in model.named_modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                yield f"{path}.{name}", tensor
        for tensor in _quantization_tensors(module):
            yield path, tensor


def _quantization_tensors(module: nn.Module) -> Iterator[Tensor]:
    """What a bitsandbytes layer keeps beside its codes: row scales, absmax, code books."""
    weight = module._parameters.get("weight")
    # The row scales of an 8-bit weight move from it to the layer's state at the first forward.
    for holder in (weight, getattr(module, "state", None)):
        scales = getattr(holder, "SCB", None)
        if isinstance(scales, Tensor):
            yield scales
    state = getattr(weight, "quant_state", None)
    while state is not None:  # double quantization nests a second state
        for name in ("absmax", "code", "offset"):
            tensor = getattr(state, name, None)
            if isinstance(tensor, Tensor):
                yield tensor
        state = getattr(state, "state2", None)
