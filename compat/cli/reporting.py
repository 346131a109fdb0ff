"""`compat report`: records of any number of runs, merged into one report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from compat.checks.registry import load_catalogue
from compat.cli.diff import results_in
from compat.registry.load import default_registry_path, load_registry
from compat.report import ReportFiles, append_step_summary, write_report
from compat.report.ctrf import ctrf_json
from compat.results.atomic import replace_text
from compat.results.read import read_records
from compat.results.record import PlannedRecord
from compat.results.visible import visible
from compat.targets.selection import SelectionError

DONE, WRONG = 0, 1
NAMED = 50
"""Missing jobs that the terminal names."""


def make_report(
    files: list[Path],
    output: Path,
    registry_file: Path | None,
    stale_after: timedelta,
    baseline: Path | None = None,
    ctrf: Path | None = None,
    plan: Path | None = None,
) -> int:
    """Write the report, and say what is missing from it and what could not be read.

    Returns 1 where there is nothing to report on, and where a planned job has no result: a report
    with a gap is written, and never passes for a whole one. Raises SelectionError for a baseline
    without results.
    """
    console = Console(highlight=False, markup=False, stderr=True, soft_wrap=True)
    registry = load_registry(registry_file or default_registry_path())
    given = [*files, *filter(None, [baseline, plan])]
    missing = [file for file in given if not file.exists()]
    for file in missing:
        console.print(f"compat report: no such file or folder: {file}")
    if missing:
        return WRONG
    if baseline is not None:
        results_in(baseline)
    planned = () if plan is None else _planned(plan, registry_file)
    try:
        written = write_report(
            files,
            registry,
            output,
            planned=planned,
            checks=tuple(load_catalogue()),
            stale_after=stale_after,
            baseline=baseline,
        )
        if ctrf is not None:
            replace_text(ctrf, ctrf_json(read_records(files).records) + "\n")
        append_step_summary(written.summary)
    except OSError as error:
        console.print(
            f"compat report: {error.filename or output}: can't be written: {error.strerror}"
        )
        return WRONG
    for line in remarks(written):
        console.print(f"compat report: {visible(line)}")
    for path in (written.html, written.markdown, *written.pages, written.records):
        console.print(str(path))
    return WRONG if written.missing else DONE


def _planned(plan: Path, registry_file: Path | None) -> tuple[PlannedRecord, ...]:
    """What the jobs of a plan had set out to do. Raises SelectionError where it is no plan."""
    from compat.cli.planning import planned_records
    from compat.cluster.plan import PlanFileError, read_plan

    try:
        return planned_records(read_plan(plan), registry_file)
    except PlanFileError as error:
        raise SelectionError(f"--plan: {error}") from None


def remarks(written: ReportFiles) -> Iterator[str]:
    """What a reader of the report has to know about the records behind it, a line each."""
    yield from map(str, written.problems)
    for execution in written.conflicts:
        yield f"several different results claim to be {execution}; one of them counts"
    yield from map(str, written.unfinished)
    if written.changes is not None:
        yield f"since the baseline: {written.changes.sentence}"
    if written.stale:
        yield f"{written.stale} cells of the matrix rest on results that are stale"
    if written.missing:
        cases = sum(len(job.checks) for job in written.missing)
        yield f"incomplete: {cases} planned cases have no result, in {len(written.missing)} jobs:"
    for job in written.missing[:NAMED]:
        yield f"  {job}"
    if len(written.missing) > NAMED:
        yield f"  and {len(written.missing) - NAMED} more; the report names them all"
