"""The targets whose times can be held against one another: those of one environment a device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from compat.report.evidence import TargetEvidence
from compat.results.merge import is_about_this_machine
from compat.targets import Device, Weights


def comparable(targets: Iterable[TargetEvidence]) -> tuple[TargetEvidence, ...]:
    """Of each kind of weights on each device, what the environment has that tried most of it.

    How fast a model is on one machine says nothing beside another on another machine.
    """
    ran = [
        one
        for target in targets
        for one in (target, *target.elsewhere)
        if not all(map(is_about_this_machine, one.cases.values()))
    ]
    counts: dict[tuple[Weights, Device], Counter[str]] = {}
    for one in ran:
        counts.setdefault(_kind(one), Counter())[one.environment] += 1
    chosen = {
        kind: min(found, key=lambda environment: (-found[environment], environment))
        for kind, found in counts.items()
    }
    return tuple(one for one in ran if one.environment == chosen[_kind(one)])


def environments_among(targets: Collection[TargetEvidence], weights: Weights) -> tuple[str, ...]:
    """The ids of the environments that the targets of one kind of weights come from."""
    found = (one.environment for one in targets if one.coordinates.weights is weights)
    return tuple(dict.fromkeys(found))


def _kind(target: TargetEvidence) -> tuple[Weights, Device]:
    return target.coordinates.weights, target.coordinates.device
