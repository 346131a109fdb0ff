from __future__ import annotations

import ctypes
import os
from types import SimpleNamespace

import pytest

from compat.loading import cuda
from compat.plugin.stash import MACHINE, PROBLEM
from compat.plugin.workers import (
    bound_kernel_caches,
    gpu_entries,
    isolate,
    share_machine,
    workers_worth,
)
from compat.targets import devices
from compat.targets.devices import Gpu, Host


@pytest.mark.parametrize(
    ("positions", "visible", "entries"),
    [
        ([0, 1], None, ["0", "1"]),
        ([0, 2], None, ["0", "2"]),
        ([0, 1], "3, 5", ["3", "5"]),
        ([1], "3, 5", ["5"]),
        ([0], "GPU-4f2a", ["GPU-4f2a"]),
        ([], "", []),
    ],
)
def test_gpus_are_told_apart_as_cuda_does(positions, visible, entries):
    assert gpu_entries(positions, visible) == entries


def worker(told=None, modes=None):
    """The configuration of a worker that its controller has told this; of the main process."""
    config = SimpleNamespace(stash=pytest.Stash(), getoption=lambda name: modes)
    if told is not None:
        config.workerinput = told
    return config


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Put back what is changed."""
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"OMP_NUM_THREADS": "1"})
    monkeypatch.setattr(cuda, "DRIVER", "libno-such-driver.so")


def test_a_worker_keeps_to_its_gpu_and_its_cores(monkeypatch):
    os.environ["CUDA_VISIBLE_DEVICES"] = "0,1"
    del os.environ["OMP_NUM_THREADS"]
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    told = {"workercount": 4, "compat_gpu_usable": True, "compat_gpu": "1"}
    config = worker(told, modes="fp32,nf4")
    share_machine(config)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert config.stash[MACHINE] == {"CUDA_VISIBLE_DEVICES": "0,1"}, "the machine as a whole"
    share_machine(config)
    assert config.stash[MACHINE] == {"CUDA_VISIBLE_DEVICES": "0,1"}, "shared once"


@pytest.mark.parametrize(
    ("own", "modes", "visible"),
    [
        ("1", "fp32", "1"),
        ("1", None, "1,0,2"),
        ("1", "fp32,auto", "1,0,2"),
        ("0", None, "0,1,2"),
        ("", None, ""),
    ],
)
def test_a_worker_sees_every_gpu_where_some_target_may_need_them_and_its_own_first(
    own, modes, visible
):
    os.environ["CUDA_VISIBLE_DEVICES"] = "0,1,2"
    told = {"workercount": 2, "compat_gpu_usable": True, "compat_gpu": own}
    share_machine(worker(told | {"compat_gpus": ["0", "1", "2"]}, modes))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


class Driver:
    """The driver's interface: 0 is success, 3 is that it is not initialised."""

    def __init__(self, status):
        self.cuDeviceGetCount = lambda count: status


@pytest.mark.parametrize(
    ("status", "workers", "problem"), [(0, 2, True), (3, 2, False), (0, 1, False)]
)
def test_where_cuda_has_begun_workers_can_not_share_the_gpus(monkeypatch, status, workers, problem):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(status))
    told = {"workercount": workers, "compat_gpu_usable": True, "compat_gpu": "0"}
    config = worker(told, modes="fp32")
    share_machine(config)
    assert (PROBLEM in config.stash) is problem
    if problem:
        assert "torch.cuda.is_available()" in config.stash[PROBLEM]


def test_cuda_counts_gpus_as_nvml_does_and_a_persons_own_setting_stands():
    os.environ.pop("CUDA_DEVICE_ORDER", None)
    share_machine(worker())
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    os.environ["CUDA_DEVICE_ORDER"] = "FASTEST_FIRST"
    share_machine(worker())
    assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"


def test_a_persons_own_setting_of_threads_stands():
    os.environ["OMP_NUM_THREADS"] = "7"
    share_machine(worker({"workercount": 4}))
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_process_that_is_no_worker_has_the_machine_to_itself():
    del os.environ["OMP_NUM_THREADS"]
    share_machine(worker())
    assert "OMP_NUM_THREADS" not in os.environ


BEFORE_COLLECTION = """
import os

SEEN = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")}


def test_seen():
    assert SEEN["CUDA_VISIBLE_DEVICES"] == os.environ["EXPECTED"]
    assert SEEN["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
"""
TWO_GPUS = """
from compat.targets import devices

devices.this_host = lambda *environment: devices.Host(
    gpus=tuple(devices.Gpu("H200", 141 * 10**9, (9, 0), position) for position in (0, 1)),
    torch_cuda="13.0",
)
"""


@pytest.mark.parametrize("begun", [False, True])
def test_a_test_module_is_imported_when_the_worker_sees_its_own_gpu_alone(pytester, begun):
    environment = os.environ | {"EXPECTED": "0", "CUDA_VISIBLE_DEVICES": "0,1"}
    environment.pop("CUDA_DEVICE_ORDER", None)
    os.environ.clear()
    os.environ.update(environment)
    early = "import compat.loading.cuda as c; c.cuda_has_begun = lambda: True\n" if begun else ""
    pytester.makeconftest(early + TWO_GPUS)
    pytester.path.joinpath("models.yaml").write_text("models: []\n")
    pytester.makepyfile(BEFORE_COLLECTION)
    workers = "2" if begun else "1"
    result = pytester.runpytest_subprocess("-n", workers, "--compat-modes", "fp32")
    if begun:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stdout.fnmatch_lines(["*ERROR: CUDA was used before the workers*"])
    else:
        result.assert_outcomes(passed=1)


def test_kernel_caches_are_bounded_and_a_persons_own_setting_stands(monkeypatch):
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "")  # so that it is put back
    monkeypatch.delenv("LRU_CACHE_CAPACITY")
    bound_kernel_caches()
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"
    assert os.environ["LRU_CACHE_CAPACITY"] == "32"


def config_of(root, *, xdist=True, registry="", **option):
    """What pytest knows when it begins."""
    defaults = {"numprocesses": None, "tx": [], "usepdb": False, "collectonly": False}
    return SimpleNamespace(
        option=SimpleNamespace(**(defaults | option)),
        rootpath=root,
        getini=lambda name: registry,
        getoption=lambda name: None,
        pluginmanager=SimpleNamespace(has_plugin=lambda name: xdist),
    )


GPU = Gpu(name="H200", memory=141 * 10**9, capability=(9, 0))


@pytest.mark.parametrize(
    ("host", "workers"),
    [
        (Host(), 4),
        (Host(gpus=(GPU,) * 3, torch_cuda="12.8"), 3),
        (Host(gpus=(GPU,) * 3, torch_cuda=None), 4),
    ],
    ids=["two cores each", "a GPU each", "no CUDA in torch"],
)
def test_n_auto_is_a_worker_a_gpu_or_every_two_cores(monkeypatch, tmp_path, host, workers):
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(devices, "this_host", lambda: host)
    config = config_of(tmp_path, registry="models.yaml", numprocesses="auto")
    assert workers_worth(config) == workers


def test_n_auto_is_xdists_own_in_a_project_without_a_registry(monkeypatch, tmp_path):
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    assert workers_worth(config_of(tmp_path, numprocesses="auto")) is None


def test_n_auto_is_what_a_person_has_set(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "7")
    assert workers_worth(config_of(tmp_path, registry="r", numprocesses="auto")) is None


def test_isolation_is_one_worker_where_nobody_asked_for_any(tmp_path):
    for given, becomes in ((None, 1), (0, 1), (3, 3)):
        config = config_of(tmp_path, numprocesses=given)
        isolate(config)
        assert config.option.numprocesses == becomes


def test_nothing_is_isolated_where_nothing_runs(tmp_path):
    config = config_of(tmp_path, collectonly=True)
    isolate(config)
    assert config.option.numprocesses is None


@pytest.mark.parametrize(("given", "why"), [({"xdist": False}, "xdist"), ({"usepdb": True}, "pdb")])
def test_isolation_that_can_not_be_had_says_why(tmp_path, given, why):
    with pytest.raises(pytest.UsageError, match=why):
        isolate(config_of(tmp_path, **given))
