"""Environments that results come from, and in what they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from compat.report.evidence import TargetEvidence
from compat.report.section_view import DifferenceView
from compat.report.text import visible
from compat.report.view import EnvironmentView
from compat.results.record import EnvRecord, Record

ABSENT = "—"


def environments_of(
    records: Iterable[Record], targets: Iterable[TargetEvidence]
) -> tuple[EnvironmentView, ...]:
    """Environments, the one with most of the shown results first."""
    counts = Counter(case.environment for target in targets for case in target.cases.values())
    known = {record.id: record for record in records if isinstance(record, EnvRecord)}
    return tuple(
        EnvironmentView(
            id=visible(environment, 40),
            line=visible(_line(known[environment])),
            packages=_packages(known[environment]),
            cases=counts[environment],
            facts=tuple(_facts(known[environment])),
        )
        for environment in sorted(known, key=lambda one: (-counts[one], one))
    )


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
