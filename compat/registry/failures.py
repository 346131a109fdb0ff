"""Which known failure applies to a case, and which rows of the registry apply to none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from compat.registry.conditions import Conditions
from compat.registry.load import RegistryError
from compat.registry.pair import Entry, entries_of
from compat.registry.rows import ANY_MODEL, COORDINATES, Coordinates, Row, Rows, all_rows
from compat.registry.spec import KnownFailure, Registry


class FailureIndex:
    """The known failures that can show on one machine, looked up by case.

    A lookup costs two dict accesses and a look at the few rows of its check; build it once a run.
    """

    def __init__(self, registry: Registry, conditions: Conditions) -> None:
        self._rows: dict[str, Rows] = defaultdict(Rows)
        for model, row in all_rows(registry):
            if conditions.hold(row.when):
                self._rows[model].add(row)

    def expected(self, spec: Entry, case: Coordinates) -> KnownFailure | None:
        """The row that says how `case` fails: the model's own wins, then the first in the file."""
        for owner in (spec.id, ANY_MODEL):
            rows = self._rows[owner].of_check(case.check) if owner in self._rows else ()
            for row in rows:
                if row.matches(case, spec.family):
                    return row.failure
        return None


def expected_failure(
    registry: Registry, spec: Entry, case: Coordinates, conditions: Conditions
) -> KnownFailure | None:
    """The known failure of a single case; for many, keep a `FailureIndex`."""
    return FailureIndex(registry, conditions).expected(spec, case)


def explains(row: KnownFailure, error: BaseException) -> bool:
    """Whether `error` is what `row` says is raised: that class or a child of it, and the text."""
    if row.raises is None:
        return True
    names = {name for kind in type(error).__mro__ for name in _names(kind)}
    return row.raises.type in names and re.search(row.raises.match, str(error)) is not None


def _names(kind: type) -> tuple[str, str]:
    return kind.__name__, f"{kind.__module__}.{kind.__qualname__}"


@dataclass(frozen=True)
class StaleRow:
    """A known failure that no case can show."""

    failure: KnownFailure
    why: str


def stale_rows(registry: Registry, cases: Iterable[Coordinates]) -> tuple[StaleRow, ...]:
    """The rows that match no case, `when` left aside, in the order of their lines.

    `cases` is the whole of registry x catalogue, never a selection of it.
    """
    rows: dict[str, Rows] = defaultdict(Rows)
    for model, failure in all_rows(registry):
        rows[model].add(failure)
    matched: set[Row] = set()
    seen: dict[str, set[str]] = defaultdict(set)
    families = {entry.id: entry.family for entry in entries_of(registry)}
    for case in cases:
        family = families.get(case.model, "")
        for owner in (case.model, ANY_MODEL):
            for row in rows[owner].of_check(case.check) if owner in rows else ():
                if row not in matched and row.matches(case, family):
                    matched.add(row)
        for name in COORDINATES:
            seen[name].add(str(getattr(case, name)))
        seen["family"].add(family)
    stale = [
        StaleRow(row.failure, _why(row, seen))
        for owned in rows.values()
        for row in owned
        if row not in matched
    ]
    return tuple(sorted(stale, key=lambda found: found.failure.line))


def refuse_stale_rows(
    registry: Registry, cases: Iterable[Coordinates], name: str = "models.yaml"
) -> None:
    """Raises RegistryError with file and line of every row that can match no case."""
    stale = stale_rows(registry, cases)
    if stale:
        raise RegistryError(
            "\n".join(
                f"{name}:{found.failure.line}: this known failure can match no case: {found.why}"
                for found in stale
            )
        )


def _why(row: Row, seen: Mapping[str, set[str]]) -> str:
    """The pattern that nothing fits, with what is near it; else the whole combination."""
    for name, glob in row.patterns.items():
        values = sorted(seen.get(name, ()))
        if not any(fnmatchcase(value, glob) for value in values):
            near = get_close_matches(glob, values, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            return f"there is no {name} {glob!r}{hint}"
    asked = ", ".join(f"{name} {glob!r}" for name, glob in row.patterns.items())
    return f"nothing has {asked} at once"
