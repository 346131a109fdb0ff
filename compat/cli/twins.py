"""`compat twin`: twins to play with, or all of them ahead of a run."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from rich.console import Console

from compat.outcomes import CannotRun
from compat.outcomes.triage import triage
from compat.registry.load import default_registry_path, load_registry
from compat.targets.selection import Request, narrow
from compat.weights.progress import gigabytes
from compat.weights.twin import TwinNotTaughtError, teach_all, twin_checkpoint, write_twin

DONE, WRONG = 0, 1
INTERRUPTED = 130
"""What a shell gives for a command that ended with Ctrl-C."""


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


def make_full(name: str, output: Path, registry_file: Path | None) -> int:
    """Write a model at full size with random weights. Returns the exit code."""
    from compat.weights.full.write import write_full

    registry = load_registry(registry_file or default_registry_path())
    (spec,) = narrow(registry, Request(models=(name,)))
    console = Console(highlight=False, markup=False)
    try:
        written = write_full(spec, output, announce=console.print)
    except (CannotRun, OSError) as error:
        reason = triage(error)
        console.print(f"compat twin: {error if reason is None else reason}")
        return WRONG
    except KeyboardInterrupt:
        console.print("compat twin: interrupted; the same command goes on where it was")
        return INTERRUPTED
    again = f" ({written.kept} were there)" if written.kept else ""
    console.print(
        f"{spec.id} at full size: {written.folder}, {written.files} files{again}, "
        f"{gigabytes(written.size)}, {written.parameters:,} parameters",
        soft_wrap=True,
    )
    command = f"pytest --compat-model {shlex.quote(str(output))}"
    console.print(f"its weights are random: {command}", soft_wrap=True)
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
