"""The summary that GitHub shows on the page of a workflow's run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from compat.report.comparison import ComparisonView
from compat.report.comparison_markdown import comparison_markdown
from compat.report.count_view import CountView
from compat.report.finding_view import FailureView
from compat.report.markdown_table import escaped
from compat.report.view import ReportView

VARIABLE = "GITHUB_STEP_SUMMARY"
_SHOWN = 20
_NAMES = 4


def append_step_summary(text: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Add `text` to the file that GitHub names, if it names one. Raises OSError."""
    name = environment.get(VARIABLE)
    if not name:
        return None
    path = Path(name)
    with path.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    return path


def step_summary(view: ReportView, changes: ComparisonView | None = None) -> str:
    """What a reader of a finished job wants to know, as Markdown."""
    return "\n".join(_lines(view, changes)).rstrip() + "\n"


def _lines(view: ReportView, changes: ComparisonView | None) -> Iterator[str]:
    yield "## Compatibility of language models"
    yield ""
    for tally in view.tallies:
        yield f"**{escaped(tally.title)} ({tally.evidence}):** {_counted(tally.counts)}  "
    yield ""
    if view.gaps or view.problems:
        yield from _listed("⚠️ Incomplete", (*view.gaps, *view.problems))
    if changes is not None:
        yield comparison_markdown(changes)
    if view.failures:
        yield f"### ❌ Failures: {len(view.failures)}"
        yield ""
        yield "| Checks | Models | Cases | What |"
        yield "|---|---|---|---|"
        yield from map(_failure, view.failures[:_SHOWN])
        yield ""
        if len(view.failures) > _SHOWN:
            yield f"And {len(view.failures) - _SHOWN} more."
            yield ""
    if view.skips:
        yield from _listed(
            "Skipped",
            [f"{skip.cases:,} cases: {skip.texts[0][0]}; {skip.action}" for skip in view.skips],
        )


def _counted(counts: Sequence[CountView]) -> str:
    return ", ".join(f"{count.count:,} {escaped(count.word)}" for count in counts if count.count)


def _listed(title: str, sentences: Sequence[str]) -> Iterator[str]:
    yield f"<details><summary>{title}: {len(sentences)}</summary>"
    yield ""
    for sentence in sentences[:_SHOWN]:
        yield f"- {escaped(sentence)}"
    if len(sentences) > _SHOWN:
        yield f"- and {len(sentences) - _SHOWN} more"
    yield ""
    yield "</details>"
    yield ""


def _failure(failure: FailureView) -> str:
    models = _named([place.model for place in failure.places])
    what = escaped(failure.evidence) or "-"
    return f"| {_named(failure.checks)} | {models} | {failure.cases:,} | {what} |"


def _named(names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - _NAMES} more" if len(distinct) > _NAMES else ""
    return ", ".join(map(escaped, distinct[:_NAMES])) + more
