"""The GPUs that are visible here, as NVML describes them.

So collection and the controller of a distributed run know what is there in milliseconds, and no
CUDA context is created before workers start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, TypeAlias

BF16_CAPABILITY = (8, 0)
"""The first CUDA compute capability with bfloat16 arithmetic (Ampere)."""


@dataclass(frozen=True)
class Gpu:
    """One visible GPU. `memory` is in bytes, `capability` is (major, minor)."""

    name: str
    memory: int
    capability: tuple[int, int]
    position: int = field(default=0, compare=False)
    """Its number among those that CUDA shows, which may be more than can be described."""

    @property
    def has_bf16(self) -> bool:
        """Whether it computes in bfloat16."""
        return self.capability >= BF16_CAPABILITY


@contextmanager
def nvml_session() -> Iterator[ModuleType | None]:
    """Open NVML, or yield None where there is no NVIDIA driver."""
    try:
        import pynvml
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


@dataclass(frozen=True)
class Unreadable:
    """A GPU that NVML does not describe: one in a container of MIG, or with unified memory."""

    position: int
    why: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"GPU {self.position} is left out: NVML says {self.why}"


Read: TypeAlias = "tuple[Gpu, int] | Unreadable"


def visible_gpus(nvml: Any, visible_devices: str | None) -> tuple[Gpu, ...]:
    """Describe the GPUs that CUDA would show, in its order; those that can't be are left out.

    `nvml` is the pynvml module, `visible_devices` the value of CUDA_VISIBLE_DEVICES (None where it
    is not set). Indices count in NVML's order, which is CUDA's with CUDA_DEVICE_ORDER=PCI_BUS_ID
    and on every machine whose GPUs are alike.
    """
    return tuple(gpu for gpu, _ in readable(read_gpus(nvml, visible_devices)))


def free_gpu_memory(nvml: Any, visible_devices: str | None) -> tuple[int, ...]:
    """Free bytes of each GPU that `visible_gpus` describes, whoever holds the others."""
    return tuple(free for _, free in readable(read_gpus(nvml, visible_devices)))


def read_gpus(nvml: Any, visible_devices: str | None) -> list[Read]:
    """Each GPU that CUDA would show with its free bytes, or why it can't be described."""
    try:
        handles = _visible_handles(nvml, visible_devices)
    except nvml.NVMLError as error:
        return [Unreadable(0, str(error))]
    read: list[Read] = []
    for position, handle in enumerate(handles):
        try:
            read.append(_read(nvml, handle, position))
        except nvml.NVMLError as error:
            read.append(Unreadable(position, str(error)))
    return read


def _read(nvml: Any, handle: Callable[[], Any], position: int) -> tuple[Gpu, int]:
    device = handle()
    memory = nvml.nvmlDeviceGetMemoryInfo(device)
    gpu = Gpu(
        name=_text(nvml.nvmlDeviceGetName(device)),
        memory=int(memory.total),
        capability=_capability(nvml, device),
        position=position,
    )
    return gpu, int(memory.free)


def readable(read: Iterable[Read]) -> Iterator[tuple[Gpu, int]]:
    """Those that are described."""
    return (one for one in read if not isinstance(one, Unreadable))


def unreadable(read: Iterable[Read]) -> Iterator[Unreadable]:
    """Those that are not."""
    return (one for one in read if isinstance(one, Unreadable))


def _visible_handles(nvml: Any, visible_devices: str | None) -> list[Callable[[], Any]]:
    """By which each visible GPU is opened: what goes wrong then concerns that one alone."""
    count = nvml.nvmlDeviceGetCount()
    handles = [partial(nvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
    if visible_devices is None:
        return list(handles)

    def mig_handle(uuid: str) -> Any:
        try:
            return nvml.nvmlDeviceGetHandleByUUID(uuid)
        except nvml.NVMLError:
            return None

    uuids = [_uuid(nvml, handle) for handle in handles]
    chosen = visible_entries(visible_devices, uuids, mig_handle)
    return [handles[one] if isinstance(one, int) else partial(_same, one) for one in chosen]


def _same(handle: Any) -> Any:
    return handle


def _uuid(nvml: Any, handle: Callable[[], Any]) -> str:
    """The UUID of a GPU; of one that does not tell it, what no entry begins with."""
    try:
        return _text(nvml.nvmlDeviceGetUUID(handle()))
    except nvml.NVMLError:
        return ""


def visible_entries(
    visible_devices: str, uuids: list[str], mig_handle: Callable[[str], Any]
) -> list[Any]:
    """Read CUDA_VISIBLE_DEVICES as CUDA does.

    Entries are indices, unique beginnings of UUIDs, or MIG instances (turned into handles by
    `mig_handle`, None for one that is not there). The first entry that names no GPU ends the
    list; one that is named twice empties it.
    """
    chosen: list[Any] = []
    for entry in (part.strip() for part in visible_devices.split(",")):
        if entry.startswith("MIG-"):
            instance = mig_handle(entry)
            if instance is None:
                break
            chosen.append(instance)
            continue
        index = _index(entry, uuids)
        if index is None:
            break
        if index in chosen:
            return []
        chosen.append(index)
    return chosen


def _index(entry: str, uuids: list[str]) -> int | None:
    if entry.isdecimal():
        return int(entry) if int(entry) < len(uuids) else None
    if not entry.startswith("GPU-"):
        return None
    matches = [index for index, uuid in enumerate(uuids) if uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None


def _capability(nvml: Any, handle: Any) -> tuple[int, int]:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return int(major), int(minor)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
