"""The conftest of a project whose process may take only so much memory, and its own checks.

`ALLOWANCE` says how many bytes of private memory it may take from the end of collection on, when
everything is imported. Linux counts them against RLIMIT_DATA, of which the suite's own look at
what is free knows nothing: what it finds to fit can then fail for real. `ADDRESSES` is the same of
its address space, which the suite does look at.
"""

import importlib
import os
import re
import resource
import sys
from pathlib import Path

from compat.checks.registry import check

AREA = "starved"


LOADED = (
    "accelerate",
    "bitsandbytes",
    "compat.loading.open",
    "transformers.models.gpt_neox.modeling_gpt_neox",
)
"""What loading imports anyway: it does not count."""


def limit_to(variable, what, counted):
    """Let this process take as many more bytes as the environment says."""
    if variable in os.environ:
        (line,) = re.findall(rf"{counted}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        limit = int(line) * 1024 + int(os.environ[variable])
        resource.setrlimit(what, (limit, limit))


def pytest_collection_finish(session):
    for name in LOADED:
        importlib.import_module(name)
    import torch

    from compat.fit import judge

    # However much memory this machine has, what is loaded here is judged.
    judge.PLENTY = sys.maxsize
    torch.set_num_threads(1)
    limit_to("ALLOWANCE", resource.RLIMIT_DATA, "VmData")
    limit_to("ADDRESSES", resource.RLIMIT_AS, "VmSize")


@check(area=AREA)
def answers(subject):
    """It answers."""
    assert subject.logits(subject.text.inputs).isfinite().all()


@check(area=AREA)
def takes_all(subject):
    """It takes memory until there is none; with none to take, it takes nothing."""
    import torch

    taken = []
    while "ALLOWANCE" in os.environ:
        taken.append(torch.ones(50_000_000, dtype=torch.uint8))


@check(area=AREA)
def takes_all_of_a_gpu(subject):
    """It takes memory of a GPU, which there is none of here, until there is none."""
    import torch

    taken = torch.ones(300_000_000, dtype=torch.uint8)
    if os.environ.get("GPU"):
        raise torch.OutOfMemoryError(
            f"CUDA out of memory. Tried to allocate 2.00 GiB beside {taken.nbytes}"
        )


@check(area=AREA)
def answers_again(subject):
    """It answers after that as before."""
    assert subject.logits(subject.text.inputs).isfinite().all()
