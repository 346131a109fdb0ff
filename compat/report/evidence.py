"""Gathers what the records know, by target."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from compat.registry.pair import Entry, entries_of
from compat.registry.spec import Registry
from compat.report.view import DescribedCheck
from compat.results.apart import alike_environments, by_environment
from compat.results.freshness import Age, Freshness
from compat.results.merge import crashed_cases, is_about_this_machine, moment
from compat.results.record import CaseRecord, EnvRecord, PlannedRecord, Record
from compat.results.verdict import Verdict, judge
from compat.targets import Device, Mode, Target
from compat.targets.plan import Plannable, PlannedTarget
from compat.targets.target import CaseId

_DEVICES = tuple(Device)
_MODES = tuple(Mode)
_UNFIT = re.compile(r"[^a-z0-9.]+")


@dataclass(frozen=True)
class TargetEvidence:
    """What is known of a target in one environment: results of several are never mixed."""

    id: str
    coordinates: CaseId
    """Its check is empty."""
    anchor: str
    cases: Mapping[str, CaseRecord]
    """By check, in the catalogue's order."""
    missing: tuple[str, ...]
    """Checks that are expected and did not run."""
    verdict: Verdict
    age: Age | None = None
    environment: str = ""
    """The id that stands for it, and for all that are alike; empty where nothing ran."""
    elsewhere: tuple[TargetEvidence, ...] = ()
    """The same target in every other environment; the newest tested one speaks for it."""


def areas_of(checks: Iterable[DescribedCheck], records: Iterable[Record]) -> dict[str, str]:
    """Check -> area, in the order in which checks are shown: the catalogue's, then all others."""
    areas = {check.name: check.area for check in checks}
    for record in records:
        if isinstance(record, CaseRecord):
            areas.setdefault(record.check, record.area)
    return areas


def gather(
    records: Collection[Record],
    registry: Registry,
    areas: Mapping[str, str],
    checks: Collection[Plannable],
    freshness: Freshness,
) -> tuple[TargetEvidence, ...]:
    """The evidence of every target that was planned or run, in the order of its columns.

    A target is held against every check that the catalogue offers it and that was ever planned, in
    each environment on its own.
    """
    positions = {name: position for position, name in enumerate(areas)}
    alike = alike_environments(record for record in records if isinstance(record, EnvRecord))
    known = by_environment(
        [record for record in records if isinstance(record, CaseRecord)]
        + list(crashed_cases(records, areas)),
        alike,
    )
    ran: dict[str, dict[str, dict[str, CaseRecord]]] = {}
    for environment, results in known.items():
        for case in results.values():
            at = CaseId.parse(case.case)
            ran.setdefault(at.target, {}).setdefault(environment, {})[at.check] = case
    wanted: dict[str, set[str]] = {target: set() for target in ran}
    for record in records:
        if isinstance(record, PlannedRecord):
            for target, names in record.cases.items():
                wanted.setdefault(target, set()).update(names)

    def position(check: str) -> tuple[int, str]:
        return positions.get(check, len(positions)), check

    targets = {target: found for target in wanted if (found := _coordinates(target)) is not None}
    specs = {entry.id: entry for entry in entries_of(registry)}
    for target, at in targets.items():
        wanted[target].update(_offered(at, specs.get(at.model), checks))
    anchors = _anchors(targets, specs)

    def evidence(target: str, environment: str, cases: Mapping[str, CaseRecord]) -> TargetEvidence:
        return TargetEvidence(
            id=target,
            coordinates=targets[target],
            anchor=anchors[target],
            cases={name: cases[name] for name in sorted(cases, key=position)},
            missing=tuple(sorted(wanted[target] - set(cases), key=position)),
            verdict=judge(target, cases, wanted[target]),
            age=freshness.age(cases.values()),
            environment=environment,
        )

    return tuple(
        _apart([evidence(target, *one) for one in ran.get(target, {"": {}}).items()])
        for target in sorted(targets, key=lambda target: _place(targets[target]))
    )


def _apart(found: Sequence[TargetEvidence]) -> TargetEvidence:
    """The environment that speaks for a target, with all others behind it, the newest first.

    It is the newest of those that say something; a few cases that passed decide nothing.
    """
    speaking, *others = sorted(found, key=_weight, reverse=True)
    return replace(
        speaking,
        elsewhere=tuple(
            replace(
                one, anchor=f"{one.anchor}-in-{anchor_part(one.environment or 'unknown', None)}"
            )
            for one in others
        ),
    )


def _weight(one: TargetEvidence) -> tuple[bool, bool, datetime, str]:
    said = [case for case in one.cases.values() if not is_about_this_machine(case)]
    newest = max((moment(case.started) for case in said or one.cases.values()), default=moment(""))
    return one.verdict.word.is_tested, bool(said), newest, one.environment


def _offered(at: CaseId, spec: Entry | None, checks: Iterable[Plannable]) -> Iterable[str]:
    """The checks that mean something for a target, as far as the registry alone can tell."""
    if spec is None:
        return ()
    target = Target(at.model, spec.slug, at.weights, at.device, at.mode, at.wrapper)
    planned = PlannedTarget(target, spec)
    return [check.name for check in checks if planned.offers(check)]


def _coordinates(target: str) -> CaseId | None:
    # A planned record is written by whoever ran; a target id of a newer suite is no reason to stop.
    try:
        return CaseId.parse(f"{target}/")
    except ValueError:
        return None


def _place(target: CaseId) -> tuple[str, str, int, int, str]:
    return (
        target.model,
        target.wrapper,
        _DEVICES.index(target.device),
        _MODES.index(target.mode),
        target.weights,
    )


def anchor_part(model: str, spec: Entry | None) -> str:
    """A model's name as it may stand in an HTML id, whatever a folder was called."""
    return spec.slug if spec else _UNFIT.sub("-", model.lower()).strip("-.") or "model"


def _anchors(targets: Mapping[str, CaseId], specs: Mapping[str, Entry]) -> dict[str, str]:
    anchors: dict[str, str] = {}
    taken: set[str] = set()
    for target in sorted(targets):
        at = targets[target]
        name = anchor_part(at.model, specs.get(at.model))
        wrapper = "" if at.wrapper == "bare" else "-" + _UNFIT.sub("-", at.wrapper.lower())
        stem = anchor = f"t-{name}-{at.weights}-{at.device}-{at.mode}{wrapper}"
        number = 2
        while anchor in taken:
            anchor, number = f"{stem}-{number}", number + 1
        taken.add(anchor)
        anchors[target] = anchor
    return anchors
