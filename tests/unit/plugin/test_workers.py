from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

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


def test_a_worker_keeps_to_its_gpu_and_its_cores(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    share_machine({"workercount": 4, "compat_gpu_usable": True, "compat_gpu": "1"})
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert os.environ.pop("OMP_NUM_THREADS") == "2"


@pytest.mark.parametrize(
    ("own", "spread", "visible"),
    [("1", False, "1"), ("1", True, "1,0,2"), ("0", True, "0,1,2"), ("", True, "")],
)
def test_a_worker_sees_every_gpu_where_some_target_needs_them_and_its_own_first(
    monkeypatch, own, spread, visible
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    told = {"workercount": 2, "compat_gpu_usable": True, "compat_gpu": own}
    share_machine(told | {"compat_gpus": ["0", "1", "2"]}, spread=spread)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_a_persons_own_setting_of_threads_stands(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    share_machine({"workercount": 4})
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_process_that_is_no_worker_has_the_machine_to_itself(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share_machine({})
    assert "OMP_NUM_THREADS" not in os.environ


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
