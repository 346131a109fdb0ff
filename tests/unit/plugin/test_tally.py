from __future__ import annotations

from typing import Any

import pytest

from compat.plugin.tally import RunTally, TargetTally
from compat.results.duration import duration


def record(outcome: str = "passed", **more: Any) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "check": "answers",
        "seconds": 0.5,
        "measures": {"resident_bytes": 1.1e9},
    } | more


def skipped(code: str) -> dict[str, Any]:
    reason = {"code": code, "text": f"{code} here", "action": "act"}
    return record("skipped", reason=reason)


def test_a_target_says_what_its_cases_came_to_how_long_and_how_much():
    tally = TargetTally(expected=3)
    for one in (record(), record("known_failure"), skipped("not-applicable")):
        assert not tally.complete
        tally.add(one)
    assert tally.complete
    assert str(tally) == "3 cases: 1 passed, 1 known failure, 1 not applicable  1.5 s  1.1 GB"
    assert not tally.failed


def test_a_target_names_what_fails():
    tally = TargetTally(expected=3)
    for check in ("a", "b", "c"):
        tally.add(record("failed", check=check))
    assert "3 failed, namely a, b and 1 more" in str(tally)
    assert tally.failed


@pytest.mark.parametrize("outcome", ["fixed", "crashed", "timeout", "error"])
def test_all_that_fails_the_run_counts_as_failing(outcome):
    tally = TargetTally(expected=1)
    tally.add(record(outcome))
    assert tally.failed


def test_the_end_tells_who_has_to_act():
    tally = RunTally()
    tally.add(record())
    tally.add(
        record("known_failure", expectation={"blame": "upstream", "reason": "a hook is lost"})
    )
    tally.add(skipped("no-gpu"))
    tally.add(skipped("no-gpu"))
    tally.add(skipped("not-applicable"))
    assert list(tally.lines()) == [
        "5 cases: 1 passed, 1 known failure, 3 skipped",
        "known failure: 1 because a hook is lost; upstream has to act",
        "not applicable: 1",
        "not run here: 2 because no-gpu here; act",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 s"), (200, "3 min"), (5400, "1.5 h"), (89.6, "90 s")]
)
def test_a_rough_duration(seconds, words):
    assert duration(seconds) == words
