"""Rows of known failures, and how they match the coordinates of a case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from compat.registry.spec import KnownFailure, ModelSpec, PairRow, Registry

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


@dataclass(frozen=True, eq=False)
class Row:
    """A known failure, with the patterns that ask something of a case. Equal to itself alone."""

    failure: KnownFailure
    patterns: dict[str, str]
    """Coordinate (or `family`) -> glob; those that are `*` are left out."""

    @classmethod
    def of(cls, failure: KnownFailure) -> Row:
        """Take a known failure apart."""
        asked = {name: getattr(failure, name) for name in (*COORDINATES, "family")}
        return cls(failure, {name: glob for name, glob in asked.items() if glob != "*"})

    def matches(self, case: Coordinates, family: str) -> bool:
        """Whether every pattern fits."""
        return all(
            fnmatchcase(family if name == "family" else getattr(case, name), glob)
            for name, glob in self.patterns.items()
        )


class Rows:
    """Rows in the order of the file; those that name a check are looked for once."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._by_check: dict[str, list[Row]] = {}

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def add(self, failure: KnownFailure) -> None:
        """Put a known failure behind those that are there."""
        self._rows.append(Row.of(failure))
        self._by_check.clear()

    def of_check(self, check: str) -> list[Row]:
        """The rows whose pattern fits the name of a check."""
        rows = self._by_check.get(check)
        if rows is None:
            rows = [row for row in self._rows if fnmatchcase(check, row.failure.check)]
            self._by_check[check] = rows
        return rows


def all_rows(registry: Registry) -> Iterator[tuple[str, KnownFailure]]:
    """Every row with the id of the model or pair it belongs to, or `ANY_MODEL`."""
    entries: tuple[ModelSpec | PairRow, ...] = (*registry.models, *registry.pairs)
    for entry in entries:
        for row in entry.known_failures:
            yield entry.id, row
    for row in registry.known_failures:
        yield ANY_MODEL, row
