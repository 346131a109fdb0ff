"""`compat fit`: what fits where, from configs alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from compat.cli.fit_export import write_export
from compat.cli.fit_tables import show
from compat.cli.listing import wide_console
from compat.fit import Facts, Workload
from compat.fit.amounts import amount, amounts
from compat.fit.pair_training import pair_rows
from compat.fit.room import Room, free_room
from compat.fit.table import FitTable, PairFitRow
from compat.fit.tabulate import Question, rows_of, table_of
from compat.registry.load import default_registry_path, load_registry
from compat.registry.pair import PairSpec, pairs_of
from compat.registry.spec import ModelSpec, Registry
from compat.targets import Device, Mode
from compat.targets.mode import CPU_MODES, GPU_MODES
from compat.targets.selection import Request, SelectionError, parse_names, requested_pairs

ATTENTION = ("eager", "sdpa")
"""Implementations that run on fake tensors of a CPU."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Asked:
    """The options of `compat fit`."""

    gpu: str | None = None
    ram: str | None = None
    models: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    """Each `source:target`."""
    modes: str = ""
    batch: int = 1
    length: int = 512
    attention: str = "sdpa"
    effective_batch: int = 12
    export: Path | None = None


def show_fit(asked: Asked, registry_file: Path | None, facts: Facts | None = None) -> None:
    """Print the tables, and write them to a file where one is asked for.

    Raises RegistryError or SelectionError.
    """
    registry = load_registry(registry_file or default_registry_path())
    specs, pairs = chosen(registry, asked), chosen_pairs(registry, asked)
    question = question_of(asked)
    console = wide_console()
    table = make_table(specs, pairs, question, asked.effective_batch, facts or Facts(), console)
    show(table, console)
    if asked.export is not None:
        try:
            write_export(table, asked.export)
        except OSError as error:
            raise SelectionError(f"--export: {asked.export} can't be written: {error}") from error
        console.print(f"written to {asked.export}", markup=False)


def make_table(
    specs: Iterable[ModelSpec],
    pairs: Iterable[PairSpec],
    question: Question,
    effective: int,
    facts: Facts,
    console: Console,
) -> FitTable:
    """Ask about every model and pair, and show how far that is."""
    rows = [rows_of(spec, question, facts) for spec in _told(specs, "models", console)]
    trained: list[PairFitRow] = []
    for pair in _told(pairs, "pairs", console):
        trained += pair_rows(pair, question, effective, facts)
    return table_of(question, rows, trained)


def question_of(asked: Asked) -> Question:
    """What is asked of every model. Raises SelectionError."""
    here = free_room()
    gpus = here.gpus if asked.gpu is None else _parsed(amounts, asked.gpu, "--gpu")
    host = here.host if asked.ram is None else _parsed(amount, asked.ram, "--ram")
    device = Device.GPU if gpus else Device.CPU
    modes = parse_names(Mode, asked.modes, "--modes") if asked.modes else None
    offered = frozenset(GPU_MODES if gpus else (*CPU_MODES, Mode.NATIVE))
    if modes is not None and not modes & offered:
        named = ", ".join(mode for mode in Mode if mode in offered)
        hint = "" if gpus else "; --gpu 24GB asks about a GPU that is not here"
        raise SelectionError(f"--modes: none of them runs on a {device.upper()}: {named}{hint}")
    if asked.attention not in ATTENTION:
        raise SelectionError(f"--attention: {asked.attention!r} is none of {', '.join(ATTENTION)}")
    workload = Workload(asked.batch, asked.length, asked.attention)
    return Question(device, Room(gpus, host, here.disk), workload, modes)


def chosen(registry: Registry, asked: Asked) -> tuple[ModelSpec, ...]:
    """The models whose id, slug or alias matches a pattern. Raises SelectionError."""
    patterns = [one for given in asked.models for one in given.split(",") if one]
    if not patterns:
        return () if asked.pairs else registry.models
    for pattern in patterns:
        if not any(_matches(spec, pattern) for spec in registry.models):
            raise SelectionError(f"--models: no model of the registry is called {pattern!r}")
    return tuple(s for s in registry.models if any(_matches(s, one) for one in patterns))


def chosen_pairs(registry: Registry, asked: Asked) -> tuple[PairSpec, ...]:
    """The pairs given by name; with everything asked for, those of the registry."""
    if asked.pairs:
        return requested_pairs(registry, Request(pairs=tuple(map(_two, asked.pairs))))
    return () if asked.models else tuple(pairs_of(registry))


def _two(text: str) -> tuple[str, str]:
    source, colon, target = text.partition(":")
    if not (source and colon and target):
        raise SelectionError(f"--pair: {text!r} is no pair; write SOURCE:TARGET")
    return source, target


def _matches(spec: ModelSpec, pattern: str) -> bool:
    names = (spec.id, spec.slug, *spec.aliases)
    return any(fnmatchcase(name.lower(), pattern.lower()) for name in names)


def _parsed(parse: Callable[[str], ItemT], text: str, option: str) -> ItemT:
    try:
        return parse(text)
    except ValueError as error:
        raise SelectionError(f"{option}: {error}") from error


def _told(items: Iterable[ItemT], what: str, console: Console) -> Iterator[ItemT]:
    """The items, with a bar at a terminal for what takes long the first time."""
    listed = list(items)
    yield from track(listed, what, console=console, transient=True, disable=not console.is_terminal)
