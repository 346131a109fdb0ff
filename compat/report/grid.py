"""A model's checks and measures, row by row, over all of its targets: what differs between modes.

Within one kind of weights neighbours that say the same share a cell; between kinds they never do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from compat.outcomes import Outcome
from compat.report.target_view import CheckView, TargetView
from compat.targets import Weights

ABSENT = ("—", "absent")
"""The check means nothing for that target, or the measure was not taken."""

_WEIGHTS = tuple(Weights)
_PASSES = frozenset({Outcome.PASSED, Outcome.FIXED})


@dataclass(frozen=True)
class GridCell:
    """What one target, or `span` neighbours that agree, say in a row."""

    text: str
    mark: str
    span: int


@dataclass(frozen=True)
class GridRow:
    """A check, or a measure below it."""

    name: str
    cells: tuple[GridCell, ...]


@dataclass(frozen=True)
class GridCheck:
    """A check with what it measured."""

    row: GridRow
    measures: tuple[GridRow, ...]


@dataclass(frozen=True)
class GridScore:
    """Checks of an area that passed on one target, of those that apply."""

    text: str
    mark: str


@dataclass(frozen=True)
class GridArea:
    """The checks of one area."""

    name: str
    scores: tuple[GridScore, ...]
    checks: tuple[GridCheck, ...]


@dataclass(frozen=True)
class GridView:
    """All checks of a model; its columns are `targets`."""

    targets: tuple[TargetView, ...]
    figures: tuple[GridRow, ...]
    """Measures of the targets as wholes."""
    areas: tuple[GridArea, ...]


def grid_of(targets: Sequence[TargetView], areas: Mapping[str, str]) -> GridView:
    """The grid of a model's targets; `areas` maps checks to areas, in the order shown."""
    tested = [target for target in targets if target.weights is not Weights.CONFIG]
    shown = tuple(sorted(tested, key=lambda target: _WEIGHTS.index(target.weights)))
    by_check = [
        {check.name: (area.name, check) for area in target.areas for check in area.checks}
        for target in shown
    ]
    positions = {name: position for position, name in enumerate(areas)}
    names = sorted(
        {name for checks in by_check for name in checks},
        key=lambda name: (positions.get(name, len(positions)), name),
    )
    rows: dict[str, list[str]] = {}
    for name in names:
        area = next(checks[name][0] for checks in by_check if name in checks)
        rows.setdefault(area, []).append(name)
    views = [{name: check for name, (_, check) in checks.items()} for checks in by_check]
    return GridView(
        targets=shown,
        figures=tuple(_measure_rows(shown, [target.measures for target in shown])),
        areas=tuple(_area(area, names, shown, views) for area, names in rows.items()),
    )


def _area(
    area: str,
    names: Sequence[str],
    targets: Sequence[TargetView],
    checks: Sequence[Mapping[str, CheckView]],
) -> GridArea:
    return GridArea(
        name=area,
        scores=tuple(_score([by[name] for name in names if name in by]) for by in checks),
        checks=tuple(_check(name, targets, [by.get(name) for by in checks]) for name in names),
    )


def _score(checks: Sequence[CheckView]) -> GridScore:
    applicable = [check for check in checks if check.mark != "not-applicable"]
    if not applicable:
        return GridScore(*ABSENT)
    passed = sum(check.outcome in _PASSES for check in applicable)
    marks = {check.mark for check in applicable}
    worst = next(
        (mark for mark in ("broken", "crashed", "error", "partial", "fixed") if mark in marks),
        "works" if passed == len(applicable) else "blocked" if "blocked" in marks else "not-tested",
    )
    return GridScore(f"{passed}/{len(applicable)}", worst)


def _check(
    name: str, targets: Sequence[TargetView], checks: Sequence[CheckView | None]
) -> GridCheck:
    ends = [ABSENT if check is None else (check.word, check.mark) for check in checks]
    measures = [() if check is None else check.measures for check in checks]
    return GridCheck(
        row=GridRow(name, _merged(targets, ends)),
        measures=tuple(_measure_rows(targets, measures)),
    )


def _measure_rows(
    targets: Sequence[TargetView], measures: Sequence[Iterable[tuple[str, str]]]
) -> Iterable[GridRow]:
    taken = [dict(one) for one in measures]
    for label in dict.fromkeys(label for one in taken for label in one):
        values = [(one[label], "") if label in one else ABSENT for one in taken]
        yield GridRow(label, _merged(targets, values))


def _merged(
    targets: Sequence[TargetView], values: Sequence[tuple[str, str]]
) -> tuple[GridCell, ...]:
    """One cell for all targets of one kind of weights where they agree, else one for each."""
    cells: list[GridCell] = []
    together = zip(targets, values, strict=True)
    for _, group in groupby(together, key=lambda pair: pair[0].weights):
        said = [value for _, value in group]
        if len(set(said)) == 1:
            cells.append(GridCell(*said[0], span=len(said)))
        else:
            cells.extend(GridCell(*value, span=1) for value in said)
    return tuple(cells)
