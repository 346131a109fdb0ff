"""What the controller of a distributed run tells its workers, and how they share the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from compat.plugin.stash import MACHINE, PROBLEM
from compat.targets.mode import Mode

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
ORDER = "CUDA_DEVICE_ORDER"
AS_NVML_COUNTS = "PCI_BUS_ID"
"""By itself CUDA counts the fastest GPU first; NVML, by which they are counted here, by slot."""
BEGUN_TOO_EARLY = (
    "CUDA was used before the workers could be given a GPU each: keep torch.cuda.is_available() "
    "and the like out of conftest.py and of the top of test modules, or run with -n 0"
)

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
    if not _has_registry(config) or AUTO in os.environ or config.option.numprocesses != "auto":
        return None
    from compat.targets.devices import this_host, usable_cores

    host = this_host()
    return len(host.gpus) if host.gpu_usable else max(1, usable_cores() // 2)


def prepare(config: pytest.Config) -> None:
    """Settle what this process sees of the machine before any code of the project is collected.

    `torch.cuda.is_available()` at the top of a test module settles it for good. A project without
    a registry may have nothing to do with targets: there it waits until one is asked for.
    """
    if _has_registry(config):
        share_machine(config)


def share_machine(config: pytest.Config) -> None:
    """Keep a worker to its GPU and its share of the cores; once, and before torch looks at either.

    Where the run may have targets that need every GPU, a worker that has one sees them all, its
    own first, where all other targets go. Where CUDA has begun too early for that, nothing is run,
    and the problem says so.
    """
    os.environ.setdefault(ORDER, AS_NVML_COUNTS)
    workerinput: Mapping[str, Any] = getattr(config, "workerinput", {})
    if not workerinput or MACHINE in config.stash:
        return
    config.stash[MACHINE] = {name: os.environ[name] for name in (VISIBLE,) if name in os.environ}
    _share_cores(int(workerinput["workercount"]))
    if not workerinput.get(GPU_USABLE):
        return
    own = workerinput[GPU_ENTRY]
    modes = config.getoption("--compat-modes")
    spread = modes is None or Mode.AUTO in modes.split(",")
    others = workerinput[GPU_ENTRIES] if spread and own else ()
    os.environ[VISIBLE] = ",".join([own, *(entry for entry in others if entry != own)])
    if int(workerinput["workercount"]) > 1:
        from compat.loading.cuda import cuda_has_begun

        if cuda_has_begun():
            config.stash[PROBLEM] = BEGUN_TOO_EARLY


def bound_kernel_caches() -> None:
    """Keep the kernels of a few models on the CPU only, before torch reads it; see `KERNEL_CACHES`.

    A person's own setting stands.
    """
    for variable in KERNEL_CACHES:
        os.environ.setdefault(variable, CACHED_KERNELS)


def _has_registry(config: pytest.Config) -> bool:
    """Whether the project that is tested has models of its own to run."""
    named = config.getini("compat_registry") or config.getoption("--compat-registry")
    return bool(named) or (config.rootpath / REGISTRY).is_file()


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
