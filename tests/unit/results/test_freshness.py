"""Results age, and a verdict is as old as the oldest result that it rests on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from compat.results.freshness import Freshness
from compat.targets import Mode
from tests.unit.report.records import CHECKS, case_record, model_spec, run_records, target_of

TARGET = target_of(model_spec("acme/anvil-1b"), Mode.FP32)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOCK = Freshness(NOW, stale_after=timedelta(days=30))


@pytest.mark.parametrize(
    ("started", "words", "stale"),
    [
        ("2026-11-20T10:00:00Z", "today", False),
        ("2026-11-19T10:00:00Z", "1 day old", False),
        ("2026-10-21T12:00:01Z", "29 days old", False),
        ("2026-10-21T11:59:59Z", "30 days old", True),
        ("2026-11-20T16:00:00Z", "today", False),  # the clock of another machine goes ahead
        ("2026-11-20T01:00:00+09:00", "today", False),
    ],
)
def test_an_age_is_told_in_days(started: str, words: str, stale: bool) -> None:
    age = CLOCK.age([case_record(TARGET, started=started)])
    assert age is not None
    assert (str(age), age.stale) == (words, stale)


def test_the_oldest_result_is_the_age_of_all() -> None:
    new = case_record(TARGET, CHECKS[0], started="2026-11-20T10:00:00Z")
    old = case_record(TARGET, CHECKS[1], started="2026-11-10T10:00:00Z")
    age = CLOCK.age([new, old])
    assert age is not None
    assert age.days == 10


def test_what_has_no_date_has_no_age() -> None:
    assert CLOCK.age([]) is None
    assert CLOCK.age([case_record(TARGET, started="some day")]) is None


def test_the_records_own_clock_is_their_newest() -> None:
    case = case_record(TARGET, started="2026-11-25T10:00:00Z")
    assert Freshness.of([*run_records([TARGET]), case]).now.day == 25
    assert Freshness.of([]).age([case]) is not None
