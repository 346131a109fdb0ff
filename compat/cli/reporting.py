"""`compat report`: records of any number of runs, merged into one report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from compat.checks.registry import load_catalogue
from compat.registry.load import default_registry_path, load_registry
from compat.report import write_report

DONE, WRONG = 0, 1


def make_report(files: list[Path], output: Path, registry_file: Path | None) -> int:
    """Write the report and say what could not be read. Returns 1 where that is all there is."""
    console = Console(highlight=False, markup=False, stderr=True)
    registry = load_registry(registry_file or default_registry_path())
    missing = [file for file in files if not file.exists()]
    for file in missing:
        console.print(f"compat report: no such file or folder: {file}")
    if missing:
        return WRONG
    try:
        written = write_report(files, registry, output, checks=tuple(load_catalogue()))
    except OSError as error:
        console.print(f"compat report: {output} can't be written: {error.strerror}")
        return WRONG
    for problem in written.problems:
        console.print(f"compat report: {problem}")
    if written.missing:
        console.print(f"compat report: {written.missing} planned cases have no result")
    console.print(f"{written.html}\n{written.markdown}\n{written.records}")
    return DONE
