"""`compat diff`: what changed between two sets of records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from compat.checks.registry import load_catalogue
from compat.cli.listing import wide_console
from compat.registry.load import default_registry_path, load_registry
from compat.registry.pair import entries_of
from compat.report.comparison import ComparisonView, comparison_view
from compat.report.comparison_html import comparison_html
from compat.report.comparison_json import comparison_json
from compat.report.comparison_markdown import comparison_markdown
from compat.report.comparison_text import comparison_text
from compat.results.atomic import replace_text
from compat.results.compare import Comparison, compare, of_environment
from compat.results.offered import still_offered
from compat.results.read import read_records
from compat.results.record import CaseRecord, EnvRecord, Record
from compat.results.visible import visible
from compat.targets.selection import SelectionError

NOTHING_WORSE, WORSE = 0, 1


@dataclass(frozen=True)
class Written:
    """Where a comparison is written to beside the terminal."""

    markdown: Path | None = None
    html: Path | None = None
    json: Path | None = None


def show_diff(
    old: Path,
    new: Path | None,
    environments: tuple[str, str] | None,
    written: Written,
    registry_file: Path | None,
) -> int:
    """Print what changed, and write it where it was asked for. Returns 1 where anything is worse.

    Raises SelectionError for what holds no results, RegistryError, OSError.
    """
    registry = load_registry(registry_file or default_registry_path())
    before, after = _sides(old, new, environments)
    models = (entry.id for entry in entries_of(registry))
    comparison = compare(before, after, still_offered(models, tuple(load_catalogue())))
    view = comparison_view(comparison)
    console = wide_console()
    for line in comparison_text(view):
        console.print(line, soft_wrap=True)
    write_comparison(view, comparison, written)
    return WORSE if comparison.fails else NOTHING_WORSE


def write_comparison(view: ComparisonView, comparison: Comparison, written: Written) -> None:
    """Write each form that was asked for, whole or not at all. Raises OSError."""
    if written.markdown is not None:
        replace_text(written.markdown, comparison_markdown(view))
    if written.html is not None:
        replace_text(written.html, comparison_html(view))
    if written.json is not None:
        replace_text(written.json, comparison_json(comparison) + "\n")


def _sides(
    old: Path, new: Path | None, environments: tuple[str, str] | None
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    before = results_in(old)
    after = before if new is None else results_in(new)
    if environments is None:
        return before, after
    return _of(before, environments[0], old), _of(after, environments[1], new or old)


def results_in(path: Path) -> tuple[Record, ...]:
    """The records of a file or folder; says what could not be read. Raises SelectionError."""
    if not path.exists():
        raise SelectionError(f"no such file or folder: {path}")
    read = read_records(path)
    console = Console(highlight=False, markup=False, stderr=True, soft_wrap=True)
    for problem in read.problems:
        console.print(f"compat: {visible(str(problem))}")
    if not any(isinstance(record, CaseRecord) for record in read.records):
        raise SelectionError(f"{path} holds no results")
    return read.records


def _of(records: Iterable[Record], environment: str, path: Path) -> tuple[Record, ...]:
    """The records of one environment. Raises SelectionError, and says which there are."""
    everything = tuple(records)
    known = sorted({record.id for record in everything if isinstance(record, EnvRecord)})
    if environment not in known:
        listed = ", ".join(known) or "none"
        raise SelectionError(f"no environment {environment!r} in {path}; there are: {listed}")
    return of_environment(everything, environment)
