"""Rows of known failures, and how they match the coordinates of a case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from compat.registry.spec import KnownFailure, Registry

ANY_MODEL = "*"
COORDINATES = ("check", "mode", "device", "weights", "wrapper", "model")


class Coordinates(Protocol):
    """What a case id says; `compat.targets.CaseId`, a floor above, is one."""

    @property
    def model(self) -> str:
        """Hub id of the model, never an alias."""

    @property
    def weights(self) -> str:
        """`hub`, `twin`, `local` or `config`."""

    @property
    def device(self) -> str:
        """`cpu` or `gpu`."""

    @property
    def mode(self) -> str:
        """Name of the mode."""

    @property
    def wrapper(self) -> str:
        """`bare`, or the name of somebody's framework."""

    @property
    def check(self) -> str:
        """Name of the check."""


@dataclass(frozen=True)
class Row:
    """A known failure, with the patterns that ask something of a case."""

    failure: KnownFailure
    order: int
    patterns: dict[str, str]
    """Coordinate (or `family`) -> glob; those that are `*` are left out."""

    @classmethod
    def of(cls, failure: KnownFailure, order: int) -> Row:
        """Take a known failure apart."""
        asked = {name: getattr(failure, name) for name in (*COORDINATES, "family")}
        return cls(failure, order, {name: glob for name, glob in asked.items() if glob != "*"})

    def matches(self, case: Coordinates, family: str) -> bool:
        """Whether every pattern fits."""
        return all(
            fnmatchcase(family if name == "family" else getattr(case, name), glob)
            for name, glob in self.patterns.items()
        )


class Rows:
    """Rows filed under the check they name: matching looks at few of them."""

    def __init__(self) -> None:
        self._by_check: dict[str, list[Row]] = defaultdict(list)
        self._for_many_checks: list[Row] = []
        self._count = 0

    def __iter__(self) -> Iterator[Row]:
        """The rows in the order they were added."""
        named = (row for rows in self._by_check.values() for row in rows)
        return iter(sorted((*named, *self._for_many_checks), key=lambda row: row.order))

    def add(self, failure: KnownFailure) -> None:
        """File a known failure behind those that are there."""
        row = Row.of(failure, self._count)
        self._count += 1
        is_glob = any(character in failure.check for character in "*?[")
        (self._for_many_checks if is_glob else self._by_check[failure.check]).append(row)

    def first(self, case: Coordinates, family: str) -> KnownFailure | None:
        """The first row, in the order they were added, that matches."""
        candidates = (*self._by_check.get(case.check, ()), *self._for_many_checks)
        matching = (row for row in candidates if row.matches(case, family))
        first = min(matching, key=lambda row: row.order, default=None)
        return None if first is None else first.failure

    def drop(self, case: Coordinates, family: str) -> None:
        """Forget the rows that match."""
        for rows in (self._by_check.get(case.check), self._for_many_checks):
            if rows:
                rows[:] = [row for row in rows if not row.matches(case, family)]


def all_rows(registry: Registry) -> Iterator[tuple[str, KnownFailure]]:
    """Every row with the id of the model it belongs to, or `ANY_MODEL`."""
    for spec in registry.models:
        for row in spec.known_failures:
            yield spec.id, row
    for row in registry.known_failures:
        yield ANY_MODEL, row
