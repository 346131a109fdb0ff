"""What is free: the system's memory, the container's, the process's own limit, each GPU's."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from compat.fit import room
from compat.fit.amounts import amount, amounts
from compat.fit.room import free_host_memory
from compat.targets.gpus import free_gpu_memory

LIMITED = "from compat.fit.room import free_host_memory; print(free_host_memory())"


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(room, "CGROUP", tmp_path)
    return tmp_path


def test_without_limits_it_is_what_the_system_has(container):
    assert free_host_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_container_has_its_limit_and_gives_up_cached_files(container):
    (container / "memory.max").write_text("3000000\n")
    (container / "memory.current").write_text("2500000\n")
    (container / "memory.stat").write_text("anon 1000000\ninactive_file 1500000\n")
    assert free_host_memory() == 2_000_000


def test_a_container_of_the_first_version_has_too(container):
    group = container / "memory"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text("3000000\n")
    (group / "memory.usage_in_bytes").write_text("2500000\n")
    (group / "memory.stat").write_text("cache 1\ntotal_inactive_file 100\n")
    assert free_host_memory() == 500_100


def test_a_container_without_a_limit_has_none(container):
    (container / "memory.max").write_text("max\n")
    (container / "memory.current").write_text("2500000\n")
    assert free_host_memory() > 10_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_a_limit_of_the_process_counts():
    limit = 2 * 10**9
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert 0 < int(done.stdout) < limit


def test_of_gpus_what_others_hold_is_not_free_and_hidden_ones_are_none():
    nvml = SimpleNamespace(
        NVMLError=OSError,
        nvmlDeviceGetCount=lambda: 3,
        nvmlDeviceGetName=lambda index: "A100",
        nvmlDeviceGetCudaComputeCapability=lambda index: (8, 0),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetHandleByUUID=None,
        nvmlDeviceGetUUID=lambda index: f"GPU-{index}",
        nvmlDeviceGetMemoryInfo=lambda index: SimpleNamespace(total=24, free=10 + index),
    )
    assert free_gpu_memory(nvml, None) == (10, 11, 12)
    assert free_gpu_memory(nvml, "2,0") == (12, 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24GB", (24 * 10**9,)),
        ("24", (24 * 10**9,)),
        ("80 GiB", (80 * 2**30,)),
        ("512MB", (512 * 10**6,)),
        ("2x24GB", (24 * 10**9,) * 2),
        ("1.5tb", (1_500_000_000_000,)),
    ],
)
def test_amounts_are_written_as_people_write_them(text, expected):
    assert amounts(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-4GB", "24 apples", "nan", "1e9"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="is no amount of memory"):
        amounts(text)


def test_one_amount_is_not_two():
    with pytest.raises(ValueError, match="is 2 amounts of memory"):
        amount("2x24GB")
