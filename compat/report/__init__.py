"""The report: records and registry -> one HTML page, one Markdown page, the merged records.

    files = write_report(Path("reports/runs"), registry, Path("reports"), checks=catalogue)

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from compat.registry.pair import entries_of
from compat.registry.spec import Registry
from compat.report.build import build_view
from compat.report.comparison import ComparisonView, comparison_view
from compat.report.fit_file import fit_beside
from compat.report.html import render_html, write_html
from compat.report.markdown import render_markdown, write_markdown
from compat.report.material import Material
from compat.report.pages import write_pages
from compat.report.sick_file import sick_beside
from compat.report.step_summary import append_step_summary, step_summary
from compat.report.view import DescribedCheck, ReportView
from compat.results.compare import compare
from compat.results.completeness import MissingJob, UnfinishedRun, missing_jobs, unfinished_runs
from compat.results.freshness import STALE_AFTER, Freshness
from compat.results.merge import conflicts, write_merged
from compat.results.offered import still_offered
from compat.results.read import Problem, read_records
from compat.results.record import PlannedRecord, Record

__all__ = [
    "DescribedCheck",
    "ReportFiles",
    "ReportView",
    "append_step_summary",
    "build_view",
    "changes_since",
    "render_html",
    "render_markdown",
    "summarize",
    "write_html",
    "write_markdown",
    "write_report",
]


@dataclass(frozen=True)
class ReportFiles:
    """What was written, and what could not be read."""

    html: Path
    records: Path
    markdown: Path
    pages: tuple[Path, ...]
    """The other Markdown pages."""
    problems: tuple[Problem, ...]
    missing: tuple[MissingJob, ...]
    """Planned jobs without a result that no later run has."""
    unfinished: tuple[UnfinishedRun, ...]
    conflicts: tuple[str, ...]
    """Execution ids that several different results claim."""
    stale: int
    """Cells of the matrix whose results are too old to rely on."""
    changes: ComparisonView | None
    """Since the baseline; None where none was given."""
    summary: str
    """For the page of a workflow's run, as Markdown."""


def write_report(
    records: Path | Iterable[Path],
    registry: Registry,
    folder: Path,
    *,
    planned: Collection[PlannedRecord] = (),
    checks: Collection[DescribedCheck] = (),
    stale_after: timedelta = STALE_AFTER,
    baseline: Path | None = None,
) -> ReportFiles:
    """Write `index.html`, `results.jsonl` and the Markdown pages to `folder`, each atomically.

    `records` are files, or folders with `*.jsonl` anywhere below them; `planned` is what others had
    set out to do, and may have left no records of; `checks` is the catalogue (see `build_view`).
    What is older than `stale_after` today is marked; what differs from the records of `baseline` is
    shown as changed. What lies in `folder` as `fit.json` (from `compat fit --export`) and as
    `sick.json` is shown too. Raises OSError where `folder` can't be written, and nothing for what a
    record says.
    """
    read = read_records(records)
    read = replace(read, records=(*read.records, *planned))
    changes = None if baseline is None else _changes(baseline, read.records, registry, checks)
    fit, fit_problems = fit_beside(folder)
    sick, sick_problems = sick_beside(folder)
    problems = (*read.problems, *fit_problems, *sick_problems)
    view = build_view(
        read.records,
        registry,
        checks=checks,
        problems=problems,
        freshness=Freshness(datetime.now(UTC), stale_after),
        changes=changes,
        fit=fit,
        sick=sick,
    )
    files = ReportFiles(
        html=folder / "index.html",
        records=folder / "results.jsonl",
        markdown=folder / "SUPPORTED_MODELS.md",
        pages=write_pages(Material.of(read.records, registry, checks, fit=fit), folder),
        problems=problems,
        missing=missing_jobs(read.records),
        unfinished=unfinished_runs(read.records),
        conflicts=conflicts(read.records),
        stale=sum(cell.stale for model in view.models for cell in model.cells),
        changes=changes,
        summary=step_summary(view, changes),
    )
    write_merged(read.records, files.records, unread=read.unread)
    write_markdown(view, files.markdown)
    write_html(view, files.html)
    return files


def summarize(
    records: Path,
    registry: Registry,
    *,
    checks: Collection[DescribedCheck] = (),
    baseline: Path | None = None,
) -> str:
    """What `write_report` would say in its summary, without writing anything."""
    read = read_records(records)
    view = build_view(read.records, registry, checks=checks, problems=read.problems)
    changes = None if baseline is None else _changes(baseline, read.records, registry, checks)
    return step_summary(view, changes)


def changes_since(
    baseline: Path, records: Path, registry: Registry, checks: Collection[DescribedCheck]
) -> ComparisonView:
    """What `records` say that `baseline` does not, and the other way round."""
    return _changes(baseline, read_records(records).records, registry, checks)


def _changes(
    baseline: Path,
    records: Iterable[Record],
    registry: Registry,
    checks: Collection[DescribedCheck],
) -> ComparisonView:
    offered = still_offered((entry.id for entry in entries_of(registry)), checks)
    return comparison_view(compare(read_records(baseline).records, records, offered))
