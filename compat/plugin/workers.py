"""What the controller of a distributed run tells its workers, and how they share the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

MAIN = "main"
"""The name of a process that is no worker."""
FIRST_WORKER = "gw0"

# Keys of xdist's `workerinput`.
RUN_ID = "compat_run"
GPU_USABLE = "compat_gpu_usable"
"""Workers must agree on what there is: if they collect different cases, the run is aborted."""
GPU_ENTRY = "compat_gpu"
"""The worker's own entry of CUDA_VISIBLE_DEVICES; empty for a worker without a GPU."""

THREADS = "OMP_NUM_THREADS"
VISIBLE = "CUDA_VISIBLE_DEVICES"

KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""oneDNN's cache of compiled kernels, and that of ideep, through which torch calls it."""
CACHED_KERNELS = "32"
"""More than the matrix shapes of any one model. Both caches hold 1,024 if nobody says otherwise,
and every architecture in half precision leaves its own behind, to the end of the process."""


def share_machine(workerinput: Mapping[str, Any]) -> None:
    """Keep this worker to its GPU and its share of the cores, before torch looks at either."""
    if not workerinput:
        return
    _share_cores(int(workerinput["workercount"]))
    if workerinput.get(GPU_USABLE):
        os.environ[VISIBLE] = workerinput[GPU_ENTRY]


def bound_kernel_caches() -> None:
    """Keep the kernels of a few models on the CPU only, before torch reads it; see `KERNEL_CACHES`.

    A person's own setting stands.
    """
    for variable in KERNEL_CACHES:
        os.environ.setdefault(variable, CACHED_KERNELS)


def gpu_entries(count: int, visible: str | None) -> list[str]:
    """The entries of CUDA_VISIBLE_DEVICES by which `count` GPUs are told apart."""
    if visible is None:
        return [str(index) for index in range(count)]
    return [entry.strip() for entry in visible.split(",")][:count]


def _share_cores(workers: int) -> None:
    """Have torch use this worker's share of the cores; a person's own setting stands.

    Without it every worker starts a thread for every core, and they wait for one another.
    """
    if workers < 2 or THREADS in os.environ:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = max(1, (cores or 1) // workers)
    os.environ[THREADS] = str(share)
    # torch reads the variable when it is imported. Where a conftest has done that already:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(share)
