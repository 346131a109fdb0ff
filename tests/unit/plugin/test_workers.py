from __future__ import annotations

import os

import pytest

from compat.plugin.workers import bound_kernel_caches, gpu_entries, share_machine


@pytest.mark.parametrize(
    ("count", "visible", "entries"),
    [
        (2, None, ["0", "1"]),
        (2, "3, 5", ["3", "5"]),
        (1, "GPU-4f2a", ["GPU-4f2a"]),
        (0, "", []),
    ],
)
def test_gpus_are_told_apart_as_cuda_does(count, visible, entries):
    assert gpu_entries(count, visible) == entries


def test_a_worker_keeps_to_its_gpu_and_its_cores(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    share_machine({"workercount": 4, "compat_gpu_usable": True, "compat_gpu": "1"})
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert os.environ.pop("OMP_NUM_THREADS") == "2"


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
