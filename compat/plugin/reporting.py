"""At the end of a run: its report, and GitHub's summary."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compat.registry.spec import Registry
    from compat.report import DescribedCheck

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Where it is set, GitHub shows what is written to the file that it names."""


def wants_report(folder: Path | None) -> bool:
    """Whether anybody wants to read about a run."""
    return folder is not None or STEP_SUMMARY in os.environ


def report_run(
    records: Path,
    registry: Registry,
    checks: Collection[DescribedCheck],
    *,
    folder: Path | None,
    baseline: Path | None,
) -> None:
    """Write the report to `folder`, if there is one, and GitHub's summary. Raises OSError."""
    from compat.report import append_step_summary, summarize, write_report

    if folder is None:
        summary = summarize(records, registry, checks=checks, baseline=baseline)
    else:
        summary = write_report(records, registry, folder, checks=checks, baseline=baseline).summary
    append_step_summary(summary)
