"""A case that took its process with it, judged by the controller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compat.outcomes import Outcome
from compat.results.read import read_records
from compat.results.record import CaseStartRecord
from compat.runner import conclude_crash
from compat.targets.target import CaseId

if TYPE_CHECKING:
    import pytest

    from compat.plugin.session import CompatSession


def judge_crash(session: CompatSession, report: pytest.TestReport, worker: str, how: str) -> None:
    """Record the case that `worker` died in, and have pytest show it.

    A known failure whose outcome is `crashed` is expected; everything else fails.
    """
    folder = session.recorder.writer.path.parent
    start = last_start(folder / f"{worker}.jsonl")
    if start is None:
        return
    case = CaseId.parse(start.case)
    entry = next((entry for entry in session.entries if entry.id == case.model), None)
    expectation = None if entry is None else session.failures.expected(entry, case)
    result = conclude_crash(how, expectation)
    report.when = "call"
    report.compat = session.recorder.write_crash(  # type: ignore[attr-defined]
        start, case, "" if entry is None else entry.family, report.nodeid, result
    )
    if result.outcome is Outcome.KNOWN_FAILURE:
        report.outcome = "skipped"
        report.wasxfail = result.note
    else:
        report.longrepr = f"{report.nodeid}: {how} (worker {worker})"


def leave_open(report: pytest.TestReport) -> None:
    """Show a case whose worker was interrupted as one that did not run: it crashed nothing."""
    report.when = "call"
    report.outcome = "skipped"
    report.longrepr = (report.location[0], 0, "Skipped: interrupted")


def last_start(file: Path) -> CaseStartRecord | None:
    """The case that the process writing `file` has begun and not ended."""
    finished: set[str] = set()
    starts: list[CaseStartRecord] = []
    for record in read_records(file).records:
        if isinstance(record, CaseStartRecord):
            starts.append(record)
        elif record.kind == "case":
            finished.add(record.execution)
    open_starts = [start for start in starts if start.execution not in finished]
    return open_starts[-1] if open_starts else None
