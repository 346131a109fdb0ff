"""From what pytest saw of a case to its record, and to the report that pytest shows."""

from __future__ import annotations

import shlex
import time
import traceback
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import psutil
import pytest

from compat import __version__
from compat.outcomes import Outcome, Stage
from compat.plugin.basis import bases_of
from compat.plugin.case import OWN_AREA, Asked, area_of, case_id
from compat.results.environment import environment_record
from compat.results.record import (
    CaseRecord,
    CaseStartRecord,
    ExpectationRecord,
    FailureRecord,
    JobEndRecord,
    Measures,
    PlannedRecord,
    ReasonRecord,
    RunRecord,
)
from compat.results.redact import Redactor
from compat.results.writer import RecordWriter, seconds_since, timestamp
from compat.runner import CaseResult
from compat.targets.target import CaseId

if TYPE_CHECKING:
    from compat.checks.registry import Catalogue
    from compat.plugin.named_models import NamedModels
    from compat.plugin.options import Options
    from compat.plugin.settled import Settled
    from compat.targets.devices import Host

TRACE_FRAMES = 6
LONGEST_MESSAGE = 4000
IN_BRIEF: Final[dict[str, Any]] = {
    **dict.fromkeys(("case", "area", "check", "outcome", "reason", "expectation", "seconds"), True),
    "measures": {"resident_bytes"},
}
"""What a report carries of its record: pytest keeps every report until the end, and xdist sends
them."""
OWN_MODULE, OWN_FILE = "compat.suite", "compat/suite.py"
"""What `compat doctor` runs, from wherever it is installed."""


@dataclass
class OpenCase:
    """A case that has begun."""

    start: CaseStartRecord
    asked: Asked
    node_id: str
    began: float
    record: CaseRecord | None = None


class RecordedRun(Protocol):
    """What the records say of a run as a whole."""

    @property
    def config(self) -> pytest.Config:
        """Where pytest runs, and with which arguments."""

    @property
    def options(self) -> Options:
        """What the command line and the ini file ask for."""

    @property
    def host(self) -> Host:
        """This machine."""

    @property
    def catalogue(self) -> Catalogue:
        """Every check."""

    @property
    def named(self) -> NamedModels:
        """What the names given with --compat-model stand for."""

    def selection_in_words(self) -> str:
        """What was asked for, for the report's header."""


class Recorder:
    """Writes the records of one process."""

    def __init__(self, session: RecordedRun, run: str, worker: str) -> None:
        self.redactor = Redactor.here(session.config.rootpath)
        self.writer = RecordWriter(session.options.records, run, worker, self.redactor)
        self._session = session
        self._environment = environment_record(session.host, run=run, worker=worker)
        self._process = psutil.Process()
        self._count = 0
        self._case: OpenCase | None = None

    @property
    def _origin(self) -> dict[str, str]:
        return {"run": self.writer.run, "worker": self.writer.worker}

    def begin_run(self) -> None:
        """Write what is run, and where."""
        config = self._session.config
        command = ("pytest", *config.invocation_params.args)
        self.writer.write(
            RunRecord(
                **self._origin,
                started=timestamp(),
                command=tuple(self.redactor.text(str(part)) for part in command),
                selection=self._session.selection_in_words(),
                suite=__version__,
            )
        )

    def begin_worker(self) -> None:
        """Write the environment of this process."""
        self.writer.write(self._environment)

    def plan(self, items: list[tuple[pytest.Item, Asked]]) -> None:
        """Write what is about to be done."""
        cases: dict[str, list[str]] = defaultdict(list)
        for item, asked in items:
            case = case_id(item, asked)
            cases[case.target].append(case.check)
        planned = {target: tuple(checks) for target, checks in cases.items()}
        bases = bases_of({asked.planned for _, asked in items}, self._session.catalogue)
        self.writer.write(PlannedRecord(**self._origin, cases=planned, bases=bases))

    def carry_over(self, settled: Settled) -> None:
        """Write what earlier runs have settled, as it stands: this run's records are then whole."""
        for environment in settled.environments:
            self.writer.write(environment)
        for case in settled.cases:
            self.writer.write(case)

    def begin(self, item: pytest.Item, asked: Asked, stage: Stage) -> None:
        """Write that a case has begun: if nothing follows, the process has died in it."""
        self._count += 1
        case = case_id(item, asked)
        start = CaseStartRecord(
            **self._origin,
            execution=f"{self.writer.run}/{self.writer.worker}/{self._count}",
            case=f"{case.target}/{case.check}",
            started=timestamp(),
            stage=stage,
        )
        self._case = OpenCase(start, asked, item.nodeid, time.perf_counter())
        self.writer.write(start)

    def go_on(self, stage: Stage) -> None:
        """Write that the case has come to a later stage. A target may go through some twice."""
        case = self._case
        if case is not None and stage.comes_after(case.start.stage):
            case.start = case.start.model_copy(update={"stage": stage})
            self.writer.write(case.start)

    def conclude(self, result: CaseResult, revision: str | None) -> dict[str, Any]:
        """Take what a case came to; `end` writes it. Returns its record in brief."""
        case = self._case
        assert case is not None
        case.record = self._record(case, result, revision)
        return in_brief(case.record)

    def end(self, failed_after_all: CaseResult | None = None) -> None:
        """Write the case that is under way, as concluded, or as it failed in its teardown."""
        case, self._case = self._case, None
        if case is None or case.record is None:
            return
        record = case.record
        if failed_after_all is not None and not record.outcome.fails_the_run:
            record = self._record(case, failed_after_all, record.revision)
        self.writer.write(record)

    def write_crash(
        self, start: CaseStartRecord, family: str, node_id: str, result: CaseResult, stderr: str
    ) -> dict[str, Any]:
        """Write the case that another process has begun and died in, under its execution id."""
        known = self._session.catalogue
        case = CaseId.parse(start.case)
        record = CaseRecord(
            **self._origin,
            execution=start.execution,
            case=start.case,
            family=family,
            area=known[case.check].area if case.check in known else OWN_AREA,
            check=case.check,
            environment=self._environment.id,
            outcome=result.outcome,
            stage=result.stage,
            expectation=_expectation(result),
            failure=FailureRecord(
                type="ProcessDied", message=result.note, trace=self.redactor.text(stderr)
            ),
            measures=result.measures,
            started=start.started,
            seconds=seconds_since(start.started),
            reproduce=self._reproduce(node_id, "--compat-isolate"),
        )
        self.writer.write(record)
        return in_brief(record)

    def end_run(self, exit_status: int, loads: int) -> None:
        """Write that this process has come to its end, after so many loads."""
        if self.writer.written:
            self.writer.write(
                JobEndRecord(
                    **self._origin,
                    finished=timestamp(),
                    exit_status=exit_status,
                    cases=self._count,
                    loads=loads,
                )
            )
        self.writer.close()

    def _record(self, case: OpenCase, result: CaseResult, revision: str | None) -> CaseRecord:
        return CaseRecord(
            **self._origin,
            execution=case.start.execution,
            case=case.start.case,
            family=case.asked.planned.spec.family,
            area=area_of(case.asked),
            check=case.start.case.rpartition("/")[2],
            environment=self._environment.id,
            revision=revision,
            outcome=result.outcome,
            stage=result.stage,
            reason=self._reason(result),
            expectation=_expectation(result),
            failure=self._failure(result),
            measures=self._measures(result) | {"resident_bytes": self._process.memory_info().rss},
            sample=None if result.sample is None else self.redactor.text(result.sample),
            started=case.start.started,
            seconds=round(time.perf_counter() - case.began, 6),
            reproduce=self._reproduce(case.node_id),
        )

    def _measures(self, result: CaseResult) -> Measures:
        return {
            name: self.redactor.text(value) if isinstance(value, str) else value
            for name, value in result.measures.items()
        }

    def _reason(self, result: CaseResult) -> ReasonRecord | None:
        reason = result.reason
        if reason is None:
            return None
        return ReasonRecord(
            reason_class=reason.reason_class,
            code=reason.code,
            text=self.redactor.text(reason.text),
            action=self.redactor.text(reason.action),
        )

    def _failure(self, result: CaseResult) -> FailureRecord | None:
        error = result.exception
        if result.outcome is Outcome.FIXED:
            return FailureRecord(type="Fixed", message=result.note)
        if error is None or result.outcome is Outcome.SKIPPED:
            return None
        trace = traceback.TracebackException.from_exception(error, limit=-TRACE_FRAMES)
        return FailureRecord(
            type=type(error).__name__,
            message=self.redactor.text(_told(error, result))[:LONGEST_MESSAGE],
            trace=self.redactor.text("".join(trace.format(chain=False))),
        )

    def _reproduce(self, node_id: str, *first: str) -> str:
        given = self._session.options
        options = [f"--compat-model {shlex.quote(str(folder))}" for folder in given.folders]
        names = self._session.named.not_in_registry
        options += [f"--compat-model {shlex.quote(name)}" for name in names]
        pairs = (*given.request.pairs, *(map(str, pair) for pair in given.folder_pairs))
        options += [f"--compat-pair {shlex.join(pair)}" for pair in pairs]
        command = " ".join(["pytest", *first, _address(node_id), *options])
        return self.redactor.text(command)


def _address(node_id: str) -> str:
    """How a shell names a test to pytest: those of the suite's own module by that module."""
    file, _, test = node_id.partition("::")
    if not file or file.endswith(OWN_FILE):  # it has no file's name where it is outside the rootdir
        return f"--pyargs {shlex.quote(f'{OWN_MODULE}::{test}')}"
    return shlex.quote(node_id)


def in_brief(record: CaseRecord) -> dict[str, Any]:
    """The plain values of a record that pytest's report of the case carries."""
    return record.model_dump(mode="json", by_alias=True, exclude_none=True, include=IN_BRIEF)


def _told(error: BaseException, result: CaseResult) -> str:
    """What was raised, and where the suite is to blame what it says to that."""
    ours = result.outcome is Outcome.ERROR and result.note
    return f"{error}\n{result.note}" if ours else str(error)


def _expectation(result: CaseResult) -> ExpectationRecord | None:
    row = result.expectation
    if row is None:
        return None
    return ExpectationRecord(blame=row.blame, reason=row.reason, issue=row.issue, line=row.line)
