"""The benchmark of planning: what it packs."""

from __future__ import annotations

import benchmarks.scale as scale


def test_every_target_is_in_a_job_and_no_worker_is_left_idle(monkeypatch):
    monkeypatch.setattr(scale, "MODELS", 100)
    monkeypatch.setattr(scale, "WORKERS", 16)
    monkeypatch.setattr(scale, "_recorded", lambda: [scale.Work(str(n), "m", n) for n in range(9)])
    measured = scale.planning()
    assert measured["simulated_targets"] == 800
    assert measured["simulated_jobs"] == 16
    assert measured["recorded_balance"] == 1.778  # the longest is 8 of 36 seconds in 8 jobs
