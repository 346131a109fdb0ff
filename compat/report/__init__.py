"""The report: records and registry -> one HTML page, one Markdown page, the merged records.

    files = write_report(Path("reports/runs"), registry, Path("reports"), checks=catalogue)

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from compat.registry.spec import Registry
from compat.report.build import build_view
from compat.report.html import render_html, write_html
from compat.report.markdown import render_markdown, write_markdown
from compat.report.view import DescribedCheck, ReportView
from compat.results.merge import write_merged
from compat.results.read import Problem, read_records

__all__ = [
    "DescribedCheck",
    "ReportFiles",
    "ReportView",
    "build_view",
    "render_html",
    "render_markdown",
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
    problems: tuple[Problem, ...]
    missing: int
    """Planned cases without a result, over all runs."""


def write_report(
    records: Path | Iterable[Path],
    registry: Registry,
    folder: Path,
    *,
    checks: Collection[DescribedCheck] = (),
) -> ReportFiles:
    """Write `index.html`, `results.jsonl` and `SUPPORTED_MODELS.md` to `folder`, each atomically.

    `records` are files, or folders with `*.jsonl` anywhere below them; `checks` is the catalogue
    (see `build_view`). Raises OSError where `folder` can't be written, and nothing for what a
    record says.
    """
    read = read_records(records)
    view = build_view(read.records, registry, checks=checks, problems=read.problems)
    files = ReportFiles(
        html=folder / "index.html",
        records=folder / "results.jsonl",
        markdown=folder / "SUPPORTED_MODELS.md",
        problems=read.problems,
        missing=sum(run.missing for run in view.runs),
    )
    write_merged(read.records, files.records)
    write_markdown(view, files.markdown)
    write_html(view, files.html)
    return files
