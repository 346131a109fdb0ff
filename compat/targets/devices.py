"""The machine: its GPUs, CPU, memory and package versions, found without importing torch."""

from __future__ import annotations

import ast
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from compat.targets.gpus import Gpu, nvml_session, read_gpus, readable, unreadable

__all__ = ["Gpu", "Host", "this_host", "torch_cuda_version", "usable_cores"]

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


@dataclass(frozen=True)
class Host:
    """What a run depends on besides the model. Carries no name of the machine or its user."""

    gpus: tuple[Gpu, ...] = ()
    """Those that CUDA_VISIBLE_DEVICES leaves visible, in its order."""
    left_out: tuple[str, ...] = field(default=(), compare=False)
    """What is said of visible GPUs that can't be described, a line each."""
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
        read = [] if nvml is None else read_gpus(nvml, environment.get("CUDA_VISIBLE_DEVICES"))
    model, flags = _cpu(Path("/proc/cpuinfo"))
    return Host(
        gpus=tuple(gpu for gpu, _ in readable(read)),
        left_out=tuple(map(str, unreadable(read))),
        torch_cuda=torch_cuda_version(_torch_version_file()),
        cpu=model,
        cpu_flags=flags,
        memory=psutil.virtual_memory().total,
        cores=usable_cores(),
        packages=dict(_installed(RECORDED_PACKAGES)),
    )


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
