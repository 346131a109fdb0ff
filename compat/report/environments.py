"""Environments that results come from, and in what they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from string import ascii_uppercase

from compat.report.count_view import TallyView
from compat.report.counts import verdict_counts
from compat.report.environment_view import DisagreementView, EnvironmentView
from compat.report.evidence import TargetEvidence
from compat.report.marks import case_word
from compat.report.section_view import DifferenceView
from compat.report.text import visible
from compat.results.apart import alike_environments, disagreements
from compat.results.record import CaseRecord, EnvRecord, Record
from compat.targets import Weights

ABSENT = "—"
_LABELS = 3
"""Facts that a label names at most."""


def environments_of(
    records: Iterable[Record], targets: Iterable[TargetEvidence]
) -> tuple[EnvironmentView, ...]:
    """Environments, the one with most of the shown results first; those that are one, together."""
    known = {record.id: record for record in records if isinstance(record, EnvRecord)}
    alike = alike_environments(known.values())
    shown = [one for target in targets for one in (target, *target.elsewhere)]
    counts = Counter(case.environment for target in shown for case in target.cases.values())
    groups: Counter[str] = Counter()
    for environment in known:
        groups[alike[environment]] += counts[environment]
    order = sorted(groups, key=lambda one: (-groups[one], one))
    several = len(order) > 1
    letters = dict(zip(order, _letters(), strict=False)) if several else {}
    return tuple(
        EnvironmentView(
            id=visible(environment, 40),
            line=visible(_line(known[environment])),
            packages=_packages(known[environment]),
            cases=counts[environment],
            facts=tuple(_facts(known[environment])),
            stands_for=visible(alike[environment], 40),
            letter=letters.get(alike[environment], ""),
            label=_label(known[environment], [known[one] for one in order]) if several else "",
            tallies=tuple(_tallies(alike[environment], shown)),
        )
        for environment in sorted(
            known, key=lambda one: (order.index(alike[one]), -counts[one], one)
        )
    )


def letters_of(environments: Iterable[EnvironmentView]) -> Mapping[str, str]:
    """Environment id -> the letter that cells call it by; of all that are one, the same."""
    found: dict[str, str] = {}
    for environment in environments:
        found.setdefault(environment.id, environment.letter)
    return found


def disagreements_of(
    records: Collection[Record],
    targets: Iterable[TargetEvidence],
    letters: Mapping[str, str],
) -> tuple[DisagreementView, ...]:
    """Where environments came to different ends, those of most targets first."""
    alike = alike_environments(record for record in records if isinstance(record, EnvRecord))
    anchors = {target.id: target.anchor for target in targets}
    cases = [record for record in records if isinstance(record, CaseRecord)]
    groups: dict[tuple[str, tuple[tuple[str, str, str, str], ...]], list[tuple[str, str]]] = {}
    for found in disagreements(cases, alike):
        target, _, check = found.case.rpartition("/")
        ends = (
            (visible(environment, 40), letters.get(environment, ""), *case_word(case))
            for case in found.ends
            for environment in [alike.get(case.environment, case.environment)]
        )
        place = (visible(target), anchors.get(target, ""))
        groups.setdefault((visible(check, 120), tuple(sorted(ends))), []).append(place)
    views = [DisagreementView(*key, tuple(places)) for key, places in groups.items()]
    return tuple(sorted(views, key=lambda view: (-len(view.targets), view.check)))


def _letters() -> Iterator[str]:
    """A to Z, then A2 to Z2."""
    for round_ in count(1):
        yield from (f"{letter}{round_ if round_ > 1 else ''}" for letter in ascii_uppercase)


def _label(environment: EnvRecord, all_: Sequence[EnvRecord]) -> str:
    """The first facts by which it differs from any other, hardware and torch before the rest."""
    tables = [dict(_brief(one)) for one in all_]
    differing = [
        text
        for name, text in _brief(environment)
        if len({table.get(name, "") for table in tables}) > 1
    ]
    return visible(", ".join(differing[:_LABELS]), 120)


def _brief(env: EnvRecord) -> Iterator[tuple[str, str]]:
    yield "GPU", " and ".join(dict.fromkeys(gpu.name for gpu in env.gpus)) or "no GPU"
    for name, version in env.packages.items():
        yield name, f"{name} {version}"
    yield "cpu", env.cpu
    yield "flags", ", ".join(env.cpu_flags) or "no flags"
    yield "python", f"Python {env.python}"
    yield "os", env.os


def _tallies(environment: str, shown: Iterable[TargetEvidence]) -> Iterator[TallyView]:
    own = [target for target in shown if target.environment == environment]
    for weights in Weights:
        words = [one.verdict.word for one in own if one.coordinates.weights is weights]
        if words and weights is not Weights.CONFIG:
            counts = tuple(count for count in verdict_counts(words) if count.count)
            yield TallyView("Targets", str(weights), counts)


def differences_of(environments: Sequence[EnvironmentView]) -> tuple[DifferenceView, ...]:
    """Every fact of any environment, side by side; those that differ are marked."""
    tables = [dict(environment.facts) for environment in environments]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = {name: tuple(table.get(name, ABSENT) for table in tables) for name in names}
    return tuple(
        DifferenceView(name, values, differs=len(set(values)) > 1) for name, values in rows.items()
    )


def _packages(env: EnvRecord) -> tuple[tuple[str, str], ...]:
    return tuple(
        (visible(name, 60), visible(version, 60)) for name, version in env.packages.items()
    )


def _facts(env: EnvRecord) -> Iterator[tuple[str, str]]:
    yield "processor", visible(f"{env.cpu}, {env.cores} cores", 120)
    yield "processor flags", visible(", ".join(env.cpu_flags), 200) or ABSENT
    yield "memory", f"{env.memory_gb:.3g} GB"
    yield "GPUs", visible(_gpus(env), 200)
    yield "CUDA", visible(env.cuda or ABSENT, 40)
    yield "operating system", visible(env.os, 80)
    yield "Python", visible(env.python, 40)
    yield from _packages(env)


def _gpus(env: EnvRecord) -> str:
    return ", ".join(f"{gpu.name} {gpu.memory_gb:g} GB" for gpu in env.gpus) or "no GPU"


def _line(env: EnvRecord) -> str:
    flags = f" ({', '.join(env.cpu_flags)})" if env.cpu_flags else ""
    cuda = f"CUDA {env.cuda}" if env.cuda else "torch without CUDA"
    return (
        f"{env.cpu}{flags}, {env.cores} cores, {env.memory_gb:.3g} GB · {_gpus(env)} · {cuda} · "
        f"{env.os} · Python {env.python}"
    )
