"""How pytest shows what a case came to."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from compat.outcomes import Outcome, ReasonCode
from compat.runner import CaseResult


def show(
    result: CaseResult,
    report: pytest.TestReport,
    item: pytest.Item,
    no_skip: Collection[ReasonCode],
) -> None:
    """Turn pytest's report into what the result says."""
    match result.outcome:
        case Outcome.SKIPPED:
            _skip(result, report, item, no_skip)
        case Outcome.KNOWN_FAILURE:
            report.outcome = "skipped"
            report.wasxfail = result.note
        case Outcome.FIXED:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {result.note}"
        case _:
            if result.note:
                report.sections.append(("what the suite says", result.note))


def _skip(
    result: CaseResult,
    report: pytest.TestReport,
    item: pytest.Item,
    no_skip: Collection[ReasonCode],
) -> None:
    code = None if result.reason is None else result.reason.code
    if code in no_skip:
        # The record keeps the skip: what is missing here says nothing about the model.
        report.outcome = "failed"
        report.longrepr = f"{result.note}\nIt fails the run because of --compat-no-skip={code}."
        return
    path, line, _ = item.location
    report.outcome = "skipped"
    report.longrepr = (path, (line or 0) + 1, f"Skipped: {result.note}")
