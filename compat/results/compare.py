"""Compares what two sets of records know: what is worse, what is better, and what moved.

A pure function over records: `compare(old, new)`. Each side is merged as a report would merge it,
so that a side may be one run, a folder of runs, or the results of one environment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from compat.outcomes import Outcome
from compat.results.environment_moves import Moved, moves, same_hardware
from compat.results.flaky import flaky_cases
from compat.results.merge import crashed_cases, is_about_this_machine, merge, moment, newest_results
from compat.results.noise import MeasureMove, moved_measures
from compat.results.record import CaseRecord, EnvRecord, Measures, Record, RunRecord


class ChangeKind(StrEnum):
    """What became of a case, in the order of what needs a reader's eye."""

    REGRESSED = "regressed"
    """It was in order, or failed as expected, and fails now."""
    UNEXPECTED_PASS = "unexpectedly passing"
    """A row of the registry says that it fails, and it passes: the row has to go."""
    FLAKY = "flaky"
    """It passes and fails by turns where nothing has changed."""
    EXPECTED_NOW = "failing, now expected"
    """It was in order or failed, and now fails as a row of the registry says."""
    NO_LONGER_RUNS = "no longer running"
    """It had a result, and is skipped now."""
    NEW = "new"
    """It has a result for the first time."""
    FIXED = "fixed"
    """It failed, expected or not, and passes now."""
    REMOVED = "removed"
    """The suite offers it no more: its check or its model is gone."""


@dataclass(frozen=True)
class Change:
    """A case that is not what it was."""

    kind: ChangeKind
    case: str
    old: CaseRecord | None
    new: CaseRecord | None
    moved: tuple[Moved, ...] = ()
    """What differs between where the two results were made: the first to look at."""

    @property
    def fails(self) -> bool:
        """Whether a comparison that holds this is no good news."""
        if self.kind is ChangeKind.NEW:
            return self.new is not None and self.new.outcome.fails_the_run
        return self.kind in (ChangeKind.REGRESSED, ChangeKind.UNEXPECTED_PASS)


@dataclass(frozen=True)
class EnvironmentMove:
    """Two environments that the same cases were run in, and what differs between them."""

    old: str
    new: str
    cases: int
    moved: tuple[Moved, ...]


@dataclass(frozen=True)
class Comparison:
    """All that differs between two sets of records."""

    changes: tuple[Change, ...]
    measures: tuple[MeasureMove, ...]
    environments: tuple[EnvironmentMove, ...]
    compared: int
    """Cases with a result on both sides."""
    still_failing: int
    not_run: int
    """Cases that only the old side has, though they are still offered: nothing is said of them."""

    def of(self, kind: ChangeKind) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.kind is kind)

    @property
    def fails(self) -> bool:
        """Whether anything is worse, or a row of the registry has to go."""
        return any(change.fails for change in self.changes)


def compare(
    old: Iterable[Record],
    new: Iterable[Record],
    offered: Callable[[CaseRecord], bool] = lambda case: True,
) -> Comparison:
    """What differs from `old` to `new`.

    `offered` says whether registry and catalogue still offer a case: one that does not run now is
    removed only where they do not, for a run may have selected less.
    """
    before, after = _Side.of(old), _Side.of(new)
    flaky = flaky_cases([*before.executions, *after.executions])
    both = sorted(before.known.keys() & after.known.keys())
    changes = [
        change
        for case in sorted(before.known.keys() | after.known.keys())
        if (change := _change(case, before, after, flaky, offered)) is not None
    ]
    order = list(ChangeKind)
    return Comparison(
        changes=tuple(sorted(changes, key=lambda change: order.index(change.kind))),
        measures=tuple(move for case in both for move in _measures(case, before, after)),
        environments=_environments(both, before, after),
        compared=len(both),
        still_failing=sum(
            _failed(before.known[case]) and _failed(after.known[case])
            for case in both
            if case not in flaky
        ),
        not_run=sum(
            offered(case) for name, case in before.known.items() if name not in after.known
        ),
    )


def of_environment(records: Iterable[Record], environment: str) -> tuple[Record, ...]:
    """The records of one environment alone, so that environments can be compared.

    What a process began and did not end belongs to the environment of that process.
    """
    everything = tuple(records)
    processes = {
        (record.run, record.worker)
        for record in everything
        if isinstance(record, EnvRecord) and record.id == environment
    }
    return tuple(
        record
        for record in everything
        if (
            record.environment == environment
            if isinstance(record, CaseRecord)
            else (record.run, record.worker) in processes
        )
    )


@dataclass(frozen=True)
class _Side:
    """One of the two sets of records, merged."""

    known: Mapping[str, CaseRecord]
    executions: Sequence[CaseRecord]
    environments: Mapping[str, EnvRecord]
    suites: Mapping[str, str]
    """Run -> version of the suite."""
    repeats: Mapping[tuple[str, str, str | None], Sequence[Measures]]
    """Case, environment and revision -> what its executions measured, the newest last."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> _Side:
        merged = merge(records)
        cases = [record for record in merged if isinstance(record, CaseRecord)]
        executions = [*cases, *crashed_cases(merged)]
        repeats: dict[tuple[str, str, str | None], list[Measures]] = {}
        for case in sorted(cases, key=lambda case: (moment(case.started), case.execution)):
            if case.measures:
                key = case.case, case.environment, case.revision
                repeats.setdefault(key, []).append(case.measures)
        return cls(
            known=newest_results(executions),
            executions=executions,
            environments={env.id: env for env in merged if isinstance(env, EnvRecord)},
            suites={run.run: run.suite for run in merged if isinstance(run, RunRecord)},
            repeats=repeats,
        )

    def measured(self, case: CaseRecord) -> Sequence[Measures]:
        """What the executions of a case measured in the environment of its newest result."""
        return self.repeats.get((case.case, case.environment, case.revision), ())

    def environment(self, case: CaseRecord) -> EnvRecord | None:
        """Where it ran."""
        return self.environments.get(case.environment)


def _change(
    case: str,
    before: _Side,
    after: _Side,
    flaky: frozenset[str],
    offered: Callable[[CaseRecord], bool],
) -> Change | None:
    old, new = before.known.get(case), after.known.get(case)
    if new is None:
        assert old is not None
        return None if offered(old) else Change(ChangeKind.REMOVED, case, old, None)
    kind = ChangeKind.FLAKY if case in flaky else kind_of(old, new)
    if kind is None:
        return None
    return Change(kind, case, old, new, () if old is None else _moved(old, new, before, after))


def kind_of(old: CaseRecord | None, new: CaseRecord) -> ChangeKind | None:
    """What became of a case that is not flaky; None where nothing did."""
    if new.outcome is Outcome.FIXED:
        return ChangeKind.UNEXPECTED_PASS
    if old is None or (_is_untested(old) and not _is_untested(new)):
        return None if _is_untested(new) else ChangeKind.NEW
    if _is_untested(new):
        return None if _is_untested(old) else ChangeKind.NO_LONGER_RUNS
    if new.outcome.fails_the_run:
        return None if _failed(old) else ChangeKind.REGRESSED
    if new.outcome is Outcome.KNOWN_FAILURE:
        return None if old.outcome is Outcome.KNOWN_FAILURE else ChangeKind.EXPECTED_NOW
    was_wrong = old.outcome.fails_the_run or old.outcome is Outcome.KNOWN_FAILURE
    return ChangeKind.FIXED if was_wrong and old.outcome is not Outcome.FIXED else None


def _failed(case: CaseRecord) -> bool:
    # A row that has to go fails the run for the case having passed.
    return case.outcome.fails_the_run and case.outcome is not Outcome.FIXED


def _is_untested(case: CaseRecord) -> bool:
    return case.outcome is Outcome.SKIPPED


def _moved(old: CaseRecord, new: CaseRecord, before: _Side, after: _Side) -> tuple[Moved, ...]:
    found = list(moves(before.environment(old), after.environment(new)))
    suites = before.suites.get(old.run), after.suites.get(new.run)
    if None not in suites and suites[0] != suites[1]:
        found.append(Moved("compat", str(suites[0]), str(suites[1])))
    if old.revision and new.revision and old.revision != new.revision:
        found.append(Moved("weights", old.revision[:12], new.revision[:12]))
    return tuple(found)


def _measures(case: str, before: _Side, after: _Side) -> tuple[MeasureMove, ...]:
    old, new = before.known[case], after.known[case]
    old_measures, new_measures = before.measured(old), after.measured(new)
    if not old_measures or not new_measures or is_about_this_machine(new):
        return ()
    hardware = same_hardware(before.environment(old), after.environment(new))
    found = moved_measures(case, old_measures, new_measures, times=hardware)
    return tuple(replace(move, other_weights=old.revision != new.revision) for move in found)


def _environments(both: Iterable[str], before: _Side, after: _Side) -> tuple[EnvironmentMove, ...]:
    counts = Counter(
        (before.known[case].environment, after.known[case].environment) for case in both
    )
    found = (
        EnvironmentMove(
            old,
            new,
            cases,
            moves(before.environments.get(old), after.environments.get(new)),
        )
        for (old, new), cases in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        if old != new
    )
    return tuple(found)
