"""How many cases a run may skip: so that a nightly can't be green for having run nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from compat.outcomes import Outcome, ReasonCode


@dataclass(frozen=True)
class SkipBudget:
    """So many cases, or such a share of them."""

    limit: float
    is_share: bool = False
    """Whether `limit` is in percent of all cases."""

    @classmethod
    def parse(cls, text: str) -> SkipBudget:
        """Read `12` or `2.5%`. Raises ValueError."""
        number = text.strip()
        if number.endswith("%"):
            share = float(number[:-1])
            if not 0 <= share <= 100:
                raise ValueError(f"not a share: {text!r}")
            return cls(share, is_share=True)
        count = int(number)
        if count < 0:
            raise ValueError(f"not a number of cases: {text!r}")
        return cls(count)

    def allows(self, skipped: int, cases: int) -> bool:
        """Whether so many skipped cases of all are within the budget."""
        return skipped <= (self.limit * cases / 100 if self.is_share else self.limit)

    def __str__(self) -> str:
        return f"{self.limit:g}%" if self.is_share else f"{self.limit:g}"


class SkipCounter:
    """Counts the skips of a run where its terminal is, and fails it where there are too many.

    That a case does not apply is no skip in this sense: nobody can do anything about it.
    """

    def __init__(self, budget: SkipBudget) -> None:
        self._budget = budget
        self._cases = 0
        self._skips: Counter[str] = Counter()

    @property
    def _is_over(self) -> bool:
        return not self._budget.allows(self._skips.total(), self._cases)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a case."""
        record: dict[str, Any] | None = getattr(report, "compat", None)
        if record is None:
            return
        self._cases += 1
        reason = record.get("reason")
        if record["outcome"] != Outcome.SKIPPED or reason is None:
            return
        if reason["code"] != ReasonCode.NOT_APPLICABLE:
            self._skips[reason["code"]] += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that would be green."""
        if self._is_over and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say that and why the run fails."""
        if self._is_over:
            by_code = ", ".join(f"{count} {code}" for code, count in self._skips.most_common())
            terminalreporter.write_line(
                f"ERROR: {self._skips.total()} of {self._cases} cases were skipped ({by_code}): "
                f"more than --compat-max-skips={self._budget} allows",
                red=True,
            )
