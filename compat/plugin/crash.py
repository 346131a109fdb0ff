"""A case that took its process with it, judged by the controller."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compat.outcomes import Outcome
from compat.plugin.eviction import DIED
from compat.results.follow import Follower
from compat.runner import conclude_death
from compat.targets.target import CaseId

if TYPE_CHECKING:
    import pytest

    from compat.plugin.death import Death
    from compat.plugin.session import CompatSession
    from compat.results.record import Measures


def judge_crash(
    session: CompatSession, report: pytest.TestReport, worker: str, death: Death
) -> None:
    """Record the case that `worker` died in, and have pytest show it.

    A known failure whose outcome is `crashed` or `timeout` is expected; everything else fails.
    """
    start = Follower(session.records_of(worker)).open_case()
    if start is None:
        return
    case = CaseId.parse(start.case)
    entry = session.entry_of(case.model)
    expectation = None if entry is None else session.failures.expected(entry, case)
    how = f"the process {death.how}, at the stage {start.stage}"
    result = replace(
        conclude_death(how, expectation, outcome=death.outcome, stage=start.stage),
        measures=measured(death),
    )
    setattr(report, DIED, True)
    report.when = "call"
    report.compat = session.recorder.write_crash(  # type: ignore[attr-defined]
        start, "" if entry is None else entry.family, report.nodeid, result, death.stderr
    )
    if result.outcome is Outcome.KNOWN_FAILURE:
        report.outcome = "skipped"
        report.wasxfail = result.note
    else:
        said = f"\nlast lines of its standard error:\n{death.stderr}" if death.stderr else ""
        report.longrepr = f"{report.nodeid}: {how} (worker {worker}){said}"


def measured(death: Death) -> Measures:
    """What is known of the process that died, as measures."""
    found: Measures = {"signal": death.signal, "peak_resident_bytes": death.peak}
    return {name: value for name, value in found.items() if value is not None}


def leave_open(report: pytest.TestReport) -> None:
    """Show a case whose worker was interrupted as one that did not run: it crashed nothing."""
    report.when = "call"
    report.outcome = "skipped"
    report.longrepr = (report.location[0], 0, "Skipped: interrupted")
