"""Results by the environment they were made in: what one machine found is not another's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from compat.outcomes import Outcome
from compat.results.merge import is_about_this_machine, newest_results
from compat.results.record import CaseRecord, EnvRecord

NO_ALIKE: Mapping[str, str] = MappingProxyType({})


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


def software_of(environment: EnvRecord) -> tuple[object, ...]:
    """What a result rests on beside GPUs: libraries, system, and the kind of processor."""
    facts = environment
    return (facts.python, facts.os, facts.cpu, facts.cpu_flags, facts.cuda, facts.packages)


def gpus_of(environment: EnvRecord) -> frozenset[tuple[str, str, float]]:
    """The kinds of GPU; how many there are of each changes no result."""
    return frozenset((gpu.name, gpu.capability, gpu.memory_gb) for gpu in environment.gpus)


def alike_environments(environments: Iterable[EnvRecord]) -> dict[str, str]:
    """Environment id -> the id that stands for it, where several differ in cores and memory alone.

    The jobs of one cluster, and a run that went on elsewhere, are evidence of one environment.
    """
    known = {environment.id: environment for environment in environments}
    groups: list[tuple[tuple[object, ...], str]] = []
    alike: dict[str, str] = {}
    for name in sorted(known):
        ground = (software_of(known[name]), gpus_of(known[name]))
        alike[name] = next((first for other, first in groups if other == ground), name)
        if alike[name] == name:
            groups.append((ground, name))
    return alike


def by_environment(
    cases: Iterable[CaseRecord], alike: Mapping[str, str] = NO_ALIKE
) -> dict[str, dict[str, CaseRecord]]:
    """What is known of every case in each environment; environments in the order of their ids.

    `alike` says which environment ids are one (`alike_environments`).
    """
    groups: dict[str, list[CaseRecord]] = {}
    for case in cases:
        groups.setdefault(alike.get(case.environment, case.environment), []).append(case)
    return {environment: newest_results(groups[environment]) for environment in sorted(groups)}


def disagreements(
    cases: Iterable[CaseRecord], alike: Mapping[str, str] = NO_ALIKE
) -> tuple[Disagreement, ...]:
    """The cases whose newest results differ between environments, by case id.

    What only says that something is missing on a machine contradicts nobody.
    """
    ends: dict[str, list[CaseRecord]] = {}
    for known in by_environment(cases, alike).values():
        for name, case in known.items():
            if not is_about_this_machine(case):
                ends.setdefault(name, []).append(case)
    return tuple(
        Disagreement(name, tuple(found))
        for name, found in sorted(ends.items())
        if len({case.outcome for case in found}) > 1
    )
