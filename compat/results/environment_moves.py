"""What differs between two environments: which version moved, which hardware."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compat.results.record import EnvRecord

NOT_THERE = "not there"


@dataclass(frozen=True)
class Moved:
    """One fact that is another one now."""

    name: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.name} {self.old} → {self.new}"


def moves(old: EnvRecord | None, new: EnvRecord | None) -> tuple[Moved, ...]:
    """Packages first, then the rest; nothing where one of the two is not known."""
    if old is None or new is None or old.id == new.id:
        return ()
    return (*_packages(old, new), *_facts(old, new))


def same_hardware(old: EnvRecord | None, new: EnvRecord | None) -> bool:
    """Whether times of the one mean something beside times of the other."""
    if old is None or new is None:
        return False
    return _hardware(old) == _hardware(new)


def _hardware(env: EnvRecord) -> tuple[object, ...]:
    return env.cpu, env.cpu_flags, env.cores, env.memory_gb, env.gpus


def _packages(old: EnvRecord, new: EnvRecord) -> Iterator[Moved]:
    for name in sorted(old.packages.keys() | new.packages.keys()):
        before, after = old.packages.get(name, NOT_THERE), new.packages.get(name, NOT_THERE)
        if before != after:
            yield Moved(name, before, after)


def _facts(old: EnvRecord, new: EnvRecord) -> Iterator[Moved]:
    after = dict(_described(new))
    for name, before in _described(old):
        if before != after[name]:
            yield Moved(name, before, after[name])


def _described(env: EnvRecord) -> Iterator[tuple[str, str]]:
    yield "Python", env.python
    yield "CUDA", env.cuda or NOT_THERE
    yield "GPU", ", ".join(f"{gpu.name} {gpu.memory_gb:g} GB" for gpu in env.gpus) or NOT_THERE
    yield "CPU", f"{env.cpu}, {env.cores} cores"
    yield "CPU flags", ", ".join(env.cpu_flags) or "none"
    yield "memory", f"{env.memory_gb:g} GB"
    yield "operating system", env.os
