"""What earlier records have settled of a run, and how many cases that are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from compat.results.record import CaseRecord, EnvRecord


@dataclass(frozen=True)
class Settled:
    """What earlier records have settled of this run: it is carried over into its own."""

    cases: tuple[CaseRecord, ...] = ()
    environments: tuple[EnvRecord, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.cases)


SETTLED = pytest.StashKey[Settled]()
SETTLED_CASES = pytest.StashKey[int]()
SETTLED_KEY = "compat_settled"
"""How many, in xdist's `workeroutput`: all workers have found the same."""
