"""Merging the records of any number of processes, machines and days.

Merging is a set union on the execution id: in whatever order and however often files are merged,
the same records come out in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from compat.outcomes import Outcome, ReasonClass, Stage
from compat.results.atomic import replace_text
from compat.results.record import (
    CaseRecord,
    CaseStartRecord,
    EnvRecord,
    FailureRecord,
    JobEndRecord,
    PlannedRecord,
    Record,
    RunRecord,
    dump_record,
)
from compat.targets.target import CaseId

INTERRUPTED = 2
"""pytest's exit status after Ctrl-C: the case that was under way did not crash."""

_ORDER = ("run", "env", "planned", "case", "case_start", "job_end")
_OF_THIS_MACHINE = frozenset({ReasonClass.ACCESS, ReasonClass.ENVIRONMENT, ReasonClass.POLICY})


def merge(*sources: Iterable[Record]) -> tuple[Record, ...]:
    """The union of `sources`, sorted; a `case_start` goes once its `case` is there.

    Of a case that was begun and not ended, the last stage it came to is kept.
    Where two different records claim one execution id, which only a damaged copy can cause, the
    choice between them depends on their content alone.
    """
    chosen: dict[tuple[str, str], tuple[tuple[int, str], Record]] = {}
    for source in sources:
        for record in source:
            text = dump_record(record)
            execution = _execution(record)
            key = (record.kind, text if execution is None else execution)
            rank = (_progress(record), text)
            if key not in chosen or chosen[key][0] < rank:
                chosen[key] = (rank, record)
    kept = [
        pair
        for (kind, execution), pair in chosen.items()
        if kind != "case_start" or ("case", execution) not in chosen
    ]
    kept.sort(key=lambda pair: (_ORDER.index(pair[1].kind), *_when(pair[1]), *pair[0]))
    return tuple(record for _, record in kept)


def _progress(record: Record) -> int:
    return list(Stage).index(record.stage) if isinstance(record, CaseStartRecord) else 0


def conflicts(records: Iterable[Record]) -> tuple[str, ...]:
    """The execution ids that several different results claim: all but one of them are damaged."""
    found: dict[str, set[str]] = {}
    for record in records:
        if isinstance(record, CaseRecord):
            found.setdefault(record.execution, set()).add(dump_record(record))
    return tuple(sorted(execution for execution, texts in found.items() if len(texts) > 1))


def _execution(record: Record) -> str | None:
    return record.execution if isinstance(record, CaseRecord | CaseStartRecord) else None


def _when(record: Record) -> tuple[datetime, str]:
    match record:
        case CaseRecord() | CaseStartRecord():
            return moment(record.started), record.execution
        case RunRecord():
            return moment(record.started), record.run
        case JobEndRecord():
            return moment(record.finished), record.run
        case EnvRecord() | PlannedRecord():
            return datetime.min.replace(tzinfo=UTC), record.run


def moment(text: str) -> datetime:
    """An ISO 8601 time as a datetime in UTC; what is none counts as older than everything."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def is_about_this_machine(case: CaseRecord) -> bool:
    """Whether the case only says that something is missing here: access, environment, policy."""
    return (
        case.outcome is Outcome.SKIPPED
        and case.reason is not None
        and case.reason.reason_class in _OF_THIS_MACHINE
    )


def newest_results(cases: Iterable[CaseRecord]) -> dict[str, CaseRecord]:
    """What is known of every case id: its newest result that is about the model.

    A machine without a GPU never hides what a machine with one has found: skips for access,
    environment or policy count only where there is nothing else, and then the newest of them.
    """
    best: dict[str, tuple[tuple[bool, datetime, str, str], CaseRecord]] = {}
    for case in cases:
        rank = (
            not is_about_this_machine(case),
            moment(case.started),
            case.execution,
            dump_record(case),
        )
        if case.case not in best or best[case.case][0] < rank:
            best[case.case] = (rank, case)
    return {case_id: case for case_id, (_, case) in best.items()}


def interrupted_starts(records: Iterable[Record]) -> tuple[CaseStartRecord, ...]:
    """Cases that were under way when somebody stopped their run: neither passed nor crashed."""
    return _unfinished(tuple(records), interrupted=True)


def crashed_cases(
    records: Iterable[Record], areas: Mapping[str, str] | None = None
) -> tuple[CaseRecord, ...]:
    """A crashed case for every `case_start` that no result followed.

    `areas` gives the area of a check; where it is silent, other records of the same check tell.
    A start is answered by a `case` of its execution, by a result that another process of the run
    wrote for the same case, or by somebody having stopped the run: a worker of an interrupted run
    is ended without a word.
    """
    everything = tuple(records)
    cases = [record for record in everything if isinstance(record, CaseRecord)]
    area_of = {case.check: case.area for case in cases} | dict(areas or {})
    families = {CaseId.parse(case.case).model: case.family for case in cases}
    environments = {
        (record.run, record.worker): record.id
        for record in everything
        if isinstance(record, EnvRecord)
    }
    return tuple(
        _crash(start, area_of, families, environments.get((start.run, start.worker), ""))
        for start in _unfinished(everything, interrupted=False)
    )


def _unfinished(records: tuple[Record, ...], *, interrupted: bool) -> tuple[CaseStartRecord, ...]:
    cases = [record for record in records if isinstance(record, CaseRecord)]
    finished = {case.execution for case in cases}
    told_elsewhere = {(case.run, case.case) for case in cases}
    stopped = {
        record.run
        for record in records
        if isinstance(record, JobEndRecord) and record.exit_status == INTERRUPTED
    }
    starts = {
        record.execution: record
        for record in records
        if isinstance(record, CaseStartRecord)
        and record.execution not in finished
        and (record.run, record.case) not in told_elsewhere
        and (record.run in stopped) is interrupted
    }
    return tuple(starts[execution] for execution in sorted(starts))


def _crash(
    start: CaseStartRecord, areas: Mapping[str, str], families: Mapping[str, str], environment: str
) -> CaseRecord:
    case = CaseId.parse(start.case)
    return CaseRecord(
        run=start.run,
        worker=start.worker,
        execution=start.execution,
        case=start.case,
        family=families.get(case.model, ""),
        area=areas.get(case.check, ""),
        check=case.check,
        environment=environment,
        outcome=Outcome.CRASHED,
        stage=start.stage,
        failure=FailureRecord(
            type="ProcessEnded",
            message="The process began this case and ended without writing a result.",
        ),
        started=start.started,
        seconds=0.0,
        reproduce="",
    )


def write_merged(records: Iterable[Record], path: Path, *, unread: Iterable[str] = ()) -> None:
    """Merge `records` and write them to `path` as JSON lines, whole or not at all.

    `unread` are whole lines that only a newer suite understands: they go in as they are, last, so
    that a merged file has lost nothing when that suite reads it.
    """
    lines = [*(dump_record(record) for record in merge(records)), *sorted(set(unread))]
    replace_text(path, "".join(f"{line}\n" for line in lines))
