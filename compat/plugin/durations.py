"""How long targets took in earlier runs, kept in pytest's cache; the longest begins first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import pytest

from compat.outcomes import Outcome
from compat.targets.nodepart import load_of

KEY = "compat/seconds_per_case"


class Durations:
    """Seconds a case by target, loading included; registered where the reports come together."""

    def __init__(self, config: pytest.Config) -> None:
        self._cache = getattr(config, "cache", None)  # -p no:cacheprovider
        self._past: dict[str, float] = {} if self._cache is None else self._cache.get(KEY, {})
        self._seen: defaultdict[str, list[float]] = defaultdict(list)

    def expected_seconds(self, load: str, cases: int) -> float:
        """How long so many cases of a target will take; of one never run, as all do on average."""
        per_case = self._past.get(load)
        if per_case is None:
            per_case = _mean(self._past.values())
        return per_case * cases

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a case took. One that was skipped says nothing of the next time."""
        record: dict[str, Any] | None = getattr(report, "compat", None)
        load = load_of(report.nodeid)
        if record is not None and load is not None and record["outcome"] != Outcome.SKIPPED:
            self._seen[load].append(record["seconds"])

    def pytest_sessionfinish(self) -> None:
        """Keep it for the next run."""
        if self._cache is not None and self._seen:
            seen = {load: round(_mean(seconds), 4) for load, seconds in self._seen.items()}
            self._cache.set(KEY, self._past | seen)


def _mean(seconds: Collection[float]) -> float:
    return sum(seconds) / len(seconds) if seconds else 0.0
