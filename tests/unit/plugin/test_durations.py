from __future__ import annotations

from types import SimpleNamespace

import pytest

from compat.plugin.durations import KEY, Durations

LOAD = "gpt2-twin-cpu-fp32"


class FakeCache(dict):
    def set(self, key, value):
        self[key] = value


def run(cache, *cases):
    """A run of cases of a target, each its check, outcome and seconds."""
    durations = Durations(SimpleNamespace(cache=cache))
    for check, outcome, seconds in cases:
        report = SimpleNamespace(nodeid=f"t.py::test_check[{LOAD}-{check}]")
        report.compat = {"outcome": outcome, "seconds": seconds}
        durations.pytest_runtest_logreport(report)
    durations.pytest_sessionfinish()
    return durations


def test_the_next_run_knows_how_long_a_target_took():
    cache = FakeCache()
    run(cache, ("a", "passed", 3.0), ("b", "failed", 1.0), ("c", "skipped", 0.0))
    assert run(cache).expected_seconds(LOAD, cases=10) == pytest.approx(20.0)


def test_a_run_that_skips_everything_forgets_nothing():
    cache = FakeCache({KEY: {LOAD: 2.0}})
    run(cache, ("a", "skipped", 0.0))
    assert cache == {KEY: {LOAD: 2.0}}


def test_a_target_never_run_is_expected_to_take_what_others_do():
    durations = Durations(SimpleNamespace(cache=FakeCache({KEY: {"a": 1.0, "b": 3.0}})))
    assert durations.expected_seconds(LOAD, cases=2) == pytest.approx(4.0)


def test_without_a_cache_nothing_is_known_and_nothing_breaks():
    durations = Durations(SimpleNamespace())
    assert durations.expected_seconds(LOAD, cases=2) == 0.0
    durations.pytest_sessionfinish()
