"""What changed since a baseline, as a reader sees it: alike changes together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compat.outcomes import Outcome
from compat.report.marks import case_word
from compat.report.text import measure_label, measure_text, visible
from compat.results.compare import Change, ChangeKind, Comparison
from compat.results.environment_moves import Moved
from compat.results.noise import MeasureMove
from compat.results.record import CaseRecord
from compat.results.signature import signature
from compat.targets.target import BARE, CaseId

_WHY_LIMIT = 300
_NOT_THERE = "no result"
_MARKS = {
    ChangeKind.REGRESSED: "broken",
    ChangeKind.UNEXPECTED_PASS: "fixed",
    ChangeKind.FLAKY: "error",
    ChangeKind.EXPECTED_NOW: "partial",
    ChangeKind.NO_LONGER_RUNS: "blocked",
    ChangeKind.NEW: "works",
    ChangeKind.FIXED: "works",
    ChangeKind.REMOVED: "not-tested",
}


@dataclass(frozen=True)
class ChangeView:
    """Cases that changed in the same way for the same reason."""

    kind: ChangeKind
    mark: str
    """The glyph."""
    before: str
    after: str
    checks: tuple[str, ...]
    places: tuple[str, ...]
    """`model twin cpu: fp32, nf4`, one a model."""
    cases: int
    why: str
    """The exception, reason or known failure behind the newer result; empty for a pass."""
    moved: tuple[str, ...]
    """What differs between where the two results were made: `transformers 5.22.0 → 5.23.0`."""
    reproduce: str


@dataclass(frozen=True)
class MeasureMoveView:
    """A measure that moved alike in some cases of a check."""

    check: str
    measure: str
    place: str
    before: str
    after: str
    factor: str
    basis: str


@dataclass(frozen=True)
class EnvironmentMoveView:
    """Two environments that the same cases were run in."""

    old: str
    new: str
    cases: int
    moved: tuple[str, ...]


@dataclass(frozen=True)
class KindView:
    """All changes of one kind."""

    kind: ChangeKind
    mark: str
    cases: int
    changes: tuple[ChangeView, ...]


@dataclass(frozen=True)
class ComparisonView:
    """All that changed."""

    kinds: tuple[KindView, ...]
    """In the order of what needs a reader's eye; those that nothing is of are left out."""
    measures: tuple[MeasureMoveView, ...]
    environments: tuple[EnvironmentMoveView, ...]
    compared: int
    still_failing: int
    not_run: int
    targets: frozenset[str]
    """Ids of the targets with any change in a case."""
    fails: bool

    @property
    def sentence(self) -> str:
        """What there is to know, in one line."""
        counts = [f"{view.cases:,} {view.kind}" for view in self.kinds]
        if self.measures:
            counts.append(f"{len(self.measures):,} measures moved")
        still = f", {self.still_failing:,} still failing" if self.still_failing else ""
        left = f", {self.not_run:,} not run this time" if self.not_run else ""
        said = ", ".join(counts) or "nothing changed"
        return f"{said} ({self.compared:,} cases compared{still}{left})"


def comparison_view(comparison: Comparison) -> ComparisonView:
    """The view of a comparison."""
    return ComparisonView(
        kinds=tuple(_kinds(comparison)),
        measures=tuple(map(_measure, comparison.measures)),
        environments=tuple(
            EnvironmentMoveView(
                visible(move.old, 40), visible(move.new, 40), move.cases, _moved(move.moved)
            )
            for move in comparison.environments
        ),
        compared=comparison.compared,
        still_failing=comparison.still_failing,
        not_run=comparison.not_run,
        targets=frozenset(change.case.rpartition("/")[0] for change in comparison.changes),
        fails=comparison.fails,
    )


def _kinds(comparison: Comparison) -> Iterator[KindView]:
    for kind in ChangeKind:
        changes = comparison.of(kind)
        if changes:
            yield KindView(kind, _MARKS[kind], len(changes), tuple(_grouped(kind, changes)))


def _grouped(kind: ChangeKind, changes: Iterable[Change]) -> Iterator[ChangeView]:
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in changes:
        ends = tuple(signature(case) if case else () for case in (change.old, change.new))
        # What passed has no reason in common: it goes by its check, and all that is new together.
        by_check = () if kind is ChangeKind.NEW else (change.case.rpartition("/")[2],)
        fault = ends[1] if len(ends[1]) > 1 else by_check
        before = change.old.outcome if change.old else None
        groups.setdefault((before, ends[1][:1], fault, change.moved), []).append(change)
    views = [_view(kind, group) for group in groups.values()]
    yield from sorted(views, key=lambda view: (-view.cases, view.checks, view.places))


def _view(kind: ChangeKind, group: list[Change]) -> ChangeView:
    first = group[0]
    fails = first.new is not None and first.new.outcome.fails_the_run
    passed = first.new is not None and first.new.outcome is Outcome.PASSED
    return ChangeView(
        kind=kind,
        mark="broken" if kind is ChangeKind.NEW and fails else _MARKS[kind],
        before=case_word(first.old)[0] if first.old else _NOT_THERE,
        after=case_word(first.new)[0] if first.new else _NOT_THERE,
        checks=tuple(
            dict.fromkeys(visible(change.case.rpartition("/")[2], 120) for change in group)
        ),
        places=tuple(_places(change.case for change in group)),
        cases=len(group),
        why=visible(_why(first.new), _WHY_LIMIT) if first.new else "",
        moved=_moved(first.moved),
        reproduce=visible(first.new.reproduce, 600) if first.new and not passed else "",
    )


def _places(cases: Iterable[str]) -> Iterator[str]:
    modes: dict[str, dict[str, None]] = {}
    for case in cases:
        at = CaseId.parse(case)
        wrapper = "" if at.wrapper == BARE else f" in {at.wrapper}"
        modes.setdefault(f"{at.model}{wrapper} {at.weights} {at.device}", {})[at.mode] = None
    for place, names in modes.items():
        yield visible(f"{place}: {', '.join(names)}", 400)


def _why(case: CaseRecord) -> str:
    if case.failure is not None:
        return f"{case.failure.type}: {case.failure.message}"
    if case.reason is not None:
        return case.reason.text
    return case.expectation.reason if case.expectation is not None else ""


def _moved(moved: Iterable[Moved]) -> tuple[str, ...]:
    return tuple(visible(str(one), 200) for one in moved)


def _measure(move: MeasureMove) -> MeasureMoveView:
    check = move.case.rpartition("/")[2]
    (place,) = _places([move.case])
    return MeasureMoveView(
        check=visible(check, 120),
        measure=measure_label(move.name),
        place=place,
        before=measure_text(move.name, move.old),
        after=measure_text(move.name, move.new),
        factor="" if move.factor is None else f"x{move.factor:.3g}",
        basis=f"{move.basis}; other weights" if move.other_weights else move.basis,
    )
