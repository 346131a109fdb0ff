"""What runs have set out to do and have no result for: a gap never looks like a pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from compat.results.merge import INTERRUPTED, crashed_cases, moment
from compat.results.record import (
    CaseRecord,
    CaseStartRecord,
    JobEndRecord,
    PlannedRecord,
    Record,
    RunRecord,
)

_NAMED = 3


@dataclass(frozen=True)
class MissingJob:
    """A target of a run with checks that were planned and have no result."""

    run: str
    target: str
    checks: tuple[str, ...]
    planned: int
    """Checks that the run had planned for the target."""

    def __str__(self) -> str:
        named = ", ".join(self.checks[:_NAMED])
        more = f" and {len(self.checks) - _NAMED} more" if len(self.checks) > _NAMED else ""
        none = len(self.checks) == self.planned
        what = "none of its checks has a result" if none else f"no result of {named}{more}"
        return f"{self.target}: {what} (run {self.run})"


@dataclass(frozen=True)
class UnfinishedRun:
    """A run that has not written its end: it was killed, or is still going on."""

    run: str
    interrupted: bool
    """Whether somebody stopped it, and it had time to say so."""

    def __str__(self) -> str:
        if self.interrupted:
            return f"run {self.run} was interrupted"
        return f"run {self.run} has not written its end: it was killed, or is still going on"


def missing_jobs(records: Iterable[Record]) -> tuple[MissingJob, ...]:
    """The planned cases without a result, by run and target.

    A case that a later run has a result for is not missing any more; an earlier result does not
    count, for the run set out to renew it. What died in a case has its result: it crashed.
    """
    everything = tuple(records)
    begun = _begun(everything)
    last: dict[str, datetime] = {}
    of_run: set[tuple[str, str]] = set()
    cases = [record for record in everything if isinstance(record, CaseRecord)]
    for case in (*cases, *crashed_cases(everything)):
        of_run.add((case.run, case.case))
        last[case.case] = max(moment(case.started), last.get(case.case, moment("")))
    return tuple(
        MissingJob(run, target, gaps, len(checks))
        for run, target, checks in sorted(_plans(everything))
        if (
            gaps := tuple(
                check
                for check in checks
                if (run, f"{target}/{check}") not in of_run
                and last.get(f"{target}/{check}", moment("")) <= begun.get(run, moment(""))
            )
        )
    )


def unfinished_runs(records: Iterable[Record]) -> tuple[UnfinishedRun, ...]:
    """The runs whose first process has not ended in good order, the oldest first.

    Workers are not asked: one that died was replaced, and the controlling process says so.
    """
    everything = tuple(records)
    first = {record.run: record.worker for record in everything if isinstance(record, RunRecord)}
    ends = {
        (record.run, record.worker): record.exit_status
        for record in everything
        if isinstance(record, JobEndRecord)
    }
    begun = _begun(everything)
    return tuple(
        UnfinishedRun(run, interrupted=(run, worker) in ends)
        for run, worker in sorted(first.items(), key=lambda pair: (begun[pair[0]], pair[0]))
        if ends.get((run, worker), INTERRUPTED) == INTERRUPTED
    )


def _plans(records: Iterable[Record]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Run, target and checks; what several processes of a run have planned is one plan."""
    plans: dict[tuple[str, str], set[str]] = {}
    for record in records:
        if isinstance(record, PlannedRecord):
            for target, checks in record.cases.items():
                plans.setdefault((record.run, target), set()).update(checks)
    for (run, target), names in plans.items():
        yield run, target, tuple(sorted(names))


def _begun(records: Iterable[Record]) -> dict[str, datetime]:
    """When each run began: as it says, else when its first case did."""
    moments: dict[str, datetime] = {}
    said: dict[str, datetime] = {}
    for record in records:
        if isinstance(record, RunRecord):
            said[record.run] = moment(record.started)
        elif isinstance(record, CaseRecord | CaseStartRecord):
            at = moment(record.started)
            moments[record.run] = min(at, moments.get(record.run, at))
    return moments | said
