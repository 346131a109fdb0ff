"""Results by the environment they were made in: what one machine found is not another's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compat.outcomes import Outcome
from compat.results.merge import is_about_this_machine, newest_results
from compat.results.record import CaseRecord


@dataclass(frozen=True)
class Disagreement:
    """A case that came to different ends in different environments."""

    case: str
    ends: tuple[CaseRecord, ...]
    """The newest result of each environment, by environment id."""

    @property
    def outcomes(self) -> tuple[tuple[str, Outcome], ...]:
        """Environment id and outcome."""
        return tuple((case.environment, case.outcome) for case in self.ends)


def by_environment(cases: Iterable[CaseRecord]) -> dict[str, dict[str, CaseRecord]]:
    """What is known of every case in each environment; environments in the order of their ids."""
    groups: dict[str, list[CaseRecord]] = {}
    for case in cases:
        groups.setdefault(case.environment, []).append(case)
    return {environment: newest_results(groups[environment]) for environment in sorted(groups)}


def disagreements(cases: Iterable[CaseRecord]) -> tuple[Disagreement, ...]:
    """The cases whose newest results differ between environments, by case id.

    What only says that something is missing on a machine contradicts nobody.
    """
    ends: dict[str, list[CaseRecord]] = {}
    for known in by_environment(cases).values():
        for name, case in known.items():
            if not is_about_this_machine(case):
                ends.setdefault(name, []).append(case)
    return tuple(
        Disagreement(name, tuple(found))
        for name, found in sorted(ends.items())
        if len({case.outcome for case in found}) > 1
    )
