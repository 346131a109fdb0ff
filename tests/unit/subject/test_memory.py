"""Measuring memory: the process's own peak, and the allocator's on a GPU."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from compat.subject.memory import CLEAR_REFS, _on_gpu, peak_resident, reset_peak_resident

LARGE = 2**27

tells = pytest.mark.skipif(not CLEAR_REFS.exists(), reason="this system does not tell the peak")


@tells
def test_the_peak_is_seen_after_the_memory_is_gone() -> None:
    reset_peak_resident()
    before = peak_resident()
    large = torch.ones(LARGE, dtype=torch.uint8)
    del large
    after = peak_resident()
    assert before is not None
    assert after is not None
    assert after - before > 0.9 * LARGE


@tells
def test_a_reset_forgets_it() -> None:
    large = torch.ones(LARGE, dtype=torch.uint8)
    high = peak_resident()
    del large
    reset_peak_resident()
    now = peak_resident()
    assert high is not None
    assert now is not None
    assert now < high - 0.9 * LARGE


def test_on_a_gpu_the_allocator_s_peak_above_what_is_there_already_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peak = {"bytes": 900}
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda device: peak.update(bytes=100)
    )
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: peak["bytes"])
    subject = SimpleNamespace(device=torch.device("cuda", 0))

    def run() -> str:
        peak["bytes"] = 350
        return "output"

    assert _on_gpu(subject, run, {}) == (250, "output")
