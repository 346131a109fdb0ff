"""`compat twin`: twins to play with, or all of them ahead of a run."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from compat.outcomes import CannotRun
from compat.registry.load import default_registry_path, load_registry
from compat.targets.selection import Request, narrow
from compat.weights.twin import TwinNotTaughtError, teach_all, twin_checkpoint, write_twin

DONE, WRONG = 0, 1


def make_one(name: str, output: Path | None, registry_file: Path | None) -> int:
    """Make one twin and say where it is. Returns the exit code."""
    registry = load_registry(registry_file or default_registry_path())
    (spec,) = narrow(registry, Request(models=(name,)))
    console = Console(highlight=False, markup=False)
    try:
        if output is None:
            made = twin_checkpoint(spec, announce=console.print)
        else:
            made = write_twin(spec, output, announce=console.print)
    except (CannotRun, TwinNotTaughtError, FileExistsError) as error:
        console.print(f"compat twin: {error}")
        return WRONG
    console.print(f"the twin of {spec.id}: {made.folder}")
    if made.lesson is not None:
        console.print(f"it recites: {made.lesson.prompt!r} ... {made.lesson.continuation!r}")
    return DONE


def make_all(families: str, registry_file: Path | None, workers: int) -> int:
    """Make every twin, several at once. Returns 1 where one did not learn."""
    registry = load_registry(registry_file or default_registry_path())
    names = tuple(name.strip() for name in families.split(",") if name.strip())
    specs = narrow(registry, Request(families=names))
    console = Console(highlight=False, markup=False)
    began = time.monotonic()
    wrong = 0
    for number, made in enumerate(teach_all(specs, workers=workers), start=1):
        place = f"[{number}/{len(specs)}] {made.model}"
        if made.checkpoint is not None:
            console.print(f"{place}  {made.seconds:.1f} s")
        else:
            console.print(f"{place}  no twin: {made.problem}")
            wrong += not made.excused
    seconds = time.monotonic() - began
    console.print(f"{len(specs)} models, {wrong} did not learn, {seconds:.0f} s")
    return WRONG if wrong else DONE
