"""What the controller of a distributed run tells its workers, and how they share the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

MAIN = "main"
"""The name of a process that is no worker."""
FIRST_WORKER = "gw0"

# Keys of xdist's `workerinput`.
RUN_ID = "compat_run"
GPU_USABLE = "compat_gpu_usable"
"""Workers must agree on what there is: if they collect different cases, the run is aborted."""
GPU_ENTRY = "compat_gpu"
"""The worker's own entry of CUDA_VISIBLE_DEVICES; empty for a worker without a GPU."""
GPU_ENTRIES = "compat_gpus"
"""The entries of all GPUs, for targets that are spread over them."""

THREADS = "OMP_NUM_THREADS"
VISIBLE = "CUDA_VISIBLE_DEVICES"

KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""oneDNN's cache of compiled kernels, and that of ideep, through which torch calls it."""
CACHED_KERNELS = "32"
"""More than the matrix shapes of any one model. Both caches hold 1,024 if nobody says otherwise,
and every architecture in half precision leaves its own behind, to the end of the process."""


AUTO = "PYTEST_XDIST_AUTO_NUM_WORKERS"
REGISTRY = "models.yaml"


def isolate(config: pytest.Config) -> None:
    """Have one worker where nobody asked for any: targets run in it, and it is replaced if it dies.

    It is kept from one target to the next, for starting one takes longer than most targets do.
    Raises UsageError where there can be no worker.
    """
    option = config.option
    if hasattr(config, "workerinput") or option.collectonly:
        return
    if not config.pluginmanager.has_plugin("xdist"):
        raise pytest.UsageError("--compat-isolate: the child process comes from pytest-xdist")
    if option.usepdb:
        raise pytest.UsageError("--compat-isolate: --pdb needs the test in its own process")
    if not option.numprocesses and not option.tx:
        option.numprocesses = 1


def workers_worth(config: pytest.Config) -> int | None:
    """How many workers `-n auto` means: one a GPU, or one for every two cores.

    None leaves it to xdist: in a project without a registry, and where a person has set it.
    """
    named = config.getini("compat_registry") or config.getoption("--compat-registry")
    ours = named or (config.rootpath / REGISTRY).is_file()
    if not ours or AUTO in os.environ or config.option.numprocesses != "auto":
        return None
    from compat.targets.devices import this_host, usable_cores

    host = this_host()
    return len(host.gpus) if host.gpu_usable else max(1, usable_cores() // 2)


def share_machine(workerinput: Mapping[str, Any], *, spread: bool = False) -> None:
    """Keep this worker to its GPU and its share of the cores, before torch looks at either.

    `spread` is whether the run has targets that need every GPU. A worker that has a GPU then sees
    them all, its own first, where all other targets go; which GPUs it sees can't be changed later,
    once CUDA has begun.
    """
    if not workerinput:
        return
    _share_cores(int(workerinput["workercount"]))
    if workerinput.get(GPU_USABLE):
        own = workerinput[GPU_ENTRY]
        others = workerinput[GPU_ENTRIES] if spread and own else ()
        os.environ[VISIBLE] = ",".join([own, *(entry for entry in others if entry != own)])


def bound_kernel_caches() -> None:
    """Keep the kernels of a few models on the CPU only, before torch reads it; see `KERNEL_CACHES`.

    A person's own setting stands.
    """
    for variable in KERNEL_CACHES:
        os.environ.setdefault(variable, CACHED_KERNELS)


def gpu_entries(positions: Sequence[int], visible: str | None) -> list[str]:
    """The entries of CUDA_VISIBLE_DEVICES that name the GPUs at these places of what it shows."""
    if visible is None:
        return [str(position) for position in positions]
    entries = [entry.strip() for entry in visible.split(",")]
    return [entries[position] for position in positions]


def _share_cores(workers: int) -> None:
    """Have torch use this worker's share of the cores; a person's own setting stands.

    Without it every worker starts a thread for every core, and they wait for one another.
    """
    if workers < 2 or THREADS in os.environ:
        return
    from compat.targets.devices import usable_cores

    share = max(1, usable_cores() // workers)
    os.environ[THREADS] = str(share)
    # torch reads the variable when it is imported. Where a conftest has done that already:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(share)
