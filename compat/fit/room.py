"""What is free on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from compat.targets.gpus import free_gpu_memory, nvml_session

CGROUP = Path("/sys/fs/cgroup")
CGROUPS = (
    ("memory.max", "memory.current", "", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory",
        "total_inactive_file",
    ),
)
"""Limit, use, the folder of the statistics, and in them what can be given up."""


@dataclass(frozen=True)
class Room:
    """Free bytes."""

    gpus: tuple[int, ...] = ()
    """Of each GPU, in the order in which CUDA shows them."""
    host: int = 0
    disk: int = 0
    """Of the folder for temporary files, where disk offload writes."""


def free_room() -> Room:
    """What is free here and now, as far as this process may take it."""
    with nvml_session() as nvml:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = () if nvml is None else free_gpu_memory(nvml, visible)
    return Room(gpus, free_host_memory(), shutil.disk_usage(tempfile.gettempdir()).free)


def free_host_memory() -> int:
    """Main memory that this process can still take: the system's, its container's, its limit's."""
    import psutil

    return max(0, min([psutil.virtual_memory().available, *_limits()]))


def _limits() -> Iterator[int]:
    """What is left of every limit that is set on this process."""
    yield from _container()
    with suppress(ImportError):  # no such thing on Windows
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            import psutil

            yield limit - psutil.Process().memory_info().vms


def _container() -> Iterator[int]:
    """What is left of the control group's memory, under either version of control groups.

    Pages of files that nobody has used lately count as used there, and are given up when needed.
    """
    for limit, used, folder, reclaimable in CGROUPS:
        # "max", and a file that is not there, are no limit.
        with suppress(OSError, ValueError):
            left = int((CGROUP / limit).read_text()) - int((CGROUP / used).read_text())
            stat = (CGROUP / folder / "memory.stat").read_text().split()
            yield left + int(stat[stat.index(reclaimable) + 1])
