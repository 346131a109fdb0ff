"""The machine: its GPUs, CPU, memory and package versions, found without importing torch.

GPUs are counted by NVML, so that collection and the controller of a distributed run know what is
there in milliseconds and no CUDA context is created before workers start.
"""

from __future__ import annotations

import ast
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

RECORDED_PACKAGES: tuple[str, ...] = (
    "torch",
    "transformers",
    "accelerate",
    "bitsandbytes",
    "safetensors",
    "tokenizers",
    "huggingface_hub",
    "peft",
    "kernels",
    "flash-attn",
    "mamba-ssm",
    "causal-conv1d",
)
"""Distributions whose versions a result depends on."""

RESULT_CHANGING_FLAGS: tuple[str, ...] = (
    "avx2",
    "fma",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "i8mm",
    "bf16",
    "sve",
)
"""CPU features for which torch, oneDNN or bitsandbytes have kernels of their own."""

BF16_CAPABILITY = (8, 0)
"""The first CUDA compute capability with bfloat16 arithmetic (Ampere)."""


@dataclass(frozen=True)
class Gpu:
    """One visible GPU. `memory` is in bytes, `capability` is (major, minor)."""

    name: str
    memory: int
    capability: tuple[int, int]

    @property
    def has_bf16(self) -> bool:
        """Whether it computes in bfloat16."""
        return self.capability >= BF16_CAPABILITY


@dataclass(frozen=True)
class Host:
    """What a run depends on besides the model. Carries no name of the machine or its user."""

    gpus: tuple[Gpu, ...] = ()
    """Those that CUDA_VISIBLE_DEVICES leaves visible, in its order."""
    torch_cuda: str | None = None
    """The CUDA version torch was built for; None for a CPU build or without torch."""
    cpu: str = ""
    cpu_flags: tuple[str, ...] = ()
    """Those of `RESULT_CHANGING_FLAGS` that this CPU has, in that order."""
    memory: int = 0
    """Bytes of main memory."""
    cores: int = 1
    packages: Mapping[str, str] = field(default_factory=dict)
    """Distribution -> version, for those of `RECORDED_PACKAGES` that are installed."""

    @property
    def torch_has_cuda(self) -> bool:
        """Whether the installed torch was built for CUDA."""
        return self.torch_cuda is not None

    @property
    def gpu_usable(self) -> bool:
        """Whether anything can run on a GPU here."""
        return bool(self.gpus) and self.torch_has_cuda


def this_host(environment: Mapping[str, str] = os.environ) -> Host:
    """Describe this machine as a process with this environment sees it."""
    import psutil

    with nvml_session() as nvml:
        gpus = () if nvml is None else visible_gpus(nvml, environment.get("CUDA_VISIBLE_DEVICES"))
    model, flags = _cpu(Path("/proc/cpuinfo"))
    return Host(
        gpus=gpus,
        torch_cuda=torch_cuda_version(_torch_version_file()),
        cpu=model,
        cpu_flags=flags,
        memory=psutil.virtual_memory().total,
        cores=usable_cores(),
        packages=dict(_installed(RECORDED_PACKAGES)),
    )


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


def visible_gpus(nvml: Any, visible_devices: str | None) -> tuple[Gpu, ...]:
    """Describe the GPUs that CUDA would show, in its order.

    `nvml` is the pynvml module, `visible_devices` the value of CUDA_VISIBLE_DEVICES (None where it
    is not set). Indices count in NVML's order, which is CUDA's with CUDA_DEVICE_ORDER=PCI_BUS_ID
    and on every machine whose GPUs are alike.
    """
    return tuple(
        Gpu(
            name=_text(nvml.nvmlDeviceGetName(handle)),
            memory=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            capability=_capability(nvml, handle),
        )
        for handle in _visible_handles(nvml, visible_devices)
    )


def free_gpu_memory(nvml: Any, visible_devices: str | None) -> tuple[int, ...]:
    """Free bytes of each GPU that `visible_gpus` describes, whoever holds the others."""
    return tuple(
        int(nvml.nvmlDeviceGetMemoryInfo(handle).free)
        for handle in _visible_handles(nvml, visible_devices)
    )


def _visible_handles(nvml: Any, visible_devices: str | None) -> list[Any]:
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    if visible_devices is None:
        return handles
    uuids = [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    chosen = visible_entries(visible_devices, uuids, nvml.nvmlDeviceGetHandleByUUID)
    return [handles[entry] if isinstance(entry, int) else entry for entry in chosen]


def visible_entries(
    visible_devices: str, uuids: list[str], mig_handle: Callable[[str], Any]
) -> list[Any]:
    """Read CUDA_VISIBLE_DEVICES as CUDA does.

    Entries are indices, unique beginnings of UUIDs, or MIG instances (turned into handles by
    `mig_handle`). The first entry that names no GPU ends the list; one that is named twice empties
    it.
    """
    chosen: list[Any] = []
    for entry in (part.strip() for part in visible_devices.split(",")):
        if entry.startswith("MIG-"):
            chosen.append(mig_handle(entry))
            continue
        index = _index(entry, uuids)
        if index is None:
            break
        if index in chosen:
            return []
        chosen.append(index)
    return chosen


def torch_cuda_version(version_file: Path | None) -> str | None:
    """Read the CUDA version out of torch's `version.py`, as text: importing torch takes seconds."""
    if version_file is None or not version_file.is_file():
        return None
    for statement in ast.parse(version_file.read_text(encoding="utf-8")).body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        elif isinstance(statement, ast.Assign):
            targets = statement.targets
        else:
            continue
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if "cuda" in names and isinstance(statement.value, ast.Constant):
            value = statement.value.value
            return value if isinstance(value, str) else None
    return None


def _torch_version_file() -> Path | None:
    found = find_spec("torch")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("version.py")


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


def _cpu(cpuinfo: Path) -> tuple[str, tuple[str, ...]]:
    """Return the CPU's model name and those of its flags that change results."""
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine(), ()
    lines = (line.partition(":") for line in cpuinfo.read_text(errors="replace").splitlines())
    facts: dict[str, str] = {}
    for key, _, value in lines:
        facts.setdefault(key.strip(), value.strip())
    present = set((facts.get("flags") or facts.get("Features") or "").split())
    flags = tuple(flag for flag in RESULT_CHANGING_FLAGS if flag in present)
    return facts.get("model name") or platform.machine(), flags


def usable_cores() -> int:
    """Cores that this process may use, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _installed(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
