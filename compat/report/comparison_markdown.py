"""What changed, as Markdown: short enough for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compat.report.comparison import ChangeView, ComparisonView, KindView
from compat.report.markdown_table import escaped
from compat.results.compare import ChangeKind

SHOWN = 20
"""Rows of a table: GitHub takes 65,536 characters a comment, and a reader fewer."""
_NAMES = 3
_GLYPHS = {
    ChangeKind.REGRESSED: "❌",
    ChangeKind.UNEXPECTED_PASS: "🔓",
    ChangeKind.FLAKY: "🎲",
    ChangeKind.EXPECTED_NOW: "⚠️",
    ChangeKind.NO_LONGER_RUNS: "⛔",
    ChangeKind.NEW: "🆕",
    ChangeKind.FIXED: "✅",
    ChangeKind.REMOVED: "🗑️",
}
_OPEN = (ChangeKind.REGRESSED, ChangeKind.UNEXPECTED_PASS, ChangeKind.FLAKY)
"""Kinds that a reader sees without opening anything."""


def comparison_markdown(view: ComparisonView) -> str:
    """The page as text."""
    return "\n".join(_lines(view)).rstrip() + "\n"


def _lines(view: ComparisonView) -> Iterator[str]:
    yield f"### Compatibility: {escaped(view.sentence)}"
    yield ""
    for move in view.environments:
        moved = escaped(", ".join(move.moved)) or "nothing that is recorded"
        ends = f"{escaped(move.old)} → {escaped(move.new)}"
        yield f"- environment {ends}, {move.cases:,} cases: {moved}"
    yield ""
    for kind in view.kinds:
        title = f"{_GLYPHS[kind.kind]} {kind.kind}: {kind.cases:,}"
        failing = any(change.mark == "broken" for change in kind.changes)
        yield from _section(title, _changes(kind), opened=kind.kind in _OPEN or failing)
    if view.measures:
        title = f"📏 measures that moved by more than their noise: {len(view.measures):,}"
        yield from _section(title, _measures(view), opened=False)


def _section(title: str, rows: Iterator[str], *, opened: bool) -> Iterator[str]:
    yield f"<details{' open' if opened else ''}><summary>{title}</summary>"
    yield ""
    yield from rows
    yield ""
    yield "</details>"
    yield ""


def _changes(kind: KindView) -> Iterator[str]:
    yield "| Checks | Where | Before → after | Why | Moved |"
    yield "|---|---|---|---|---|"
    for change in kind.changes[:SHOWN]:
        yield f"| {' | '.join(_row(change))} |"
    yield from _rest(kind.changes)


def _row(change: ChangeView) -> tuple[str, ...]:
    return (
        _named(change.checks),
        _named(change.places),
        escaped(f"{change.before} → {change.after}"),
        escaped(change.why) or "-",
        escaped(", ".join(change.moved)) or "-",
    )


def _measures(view: ComparisonView) -> Iterator[str]:
    yield "| Check | Measure | Where | Before | After | Factor | Noise |"
    yield "|---|---|---|---|---|---|---|"
    for move in view.measures[:SHOWN]:
        texts = (move.check, move.measure, move.place, move.before, move.after)
        yield f"| {' | '.join(map(escaped, texts))} | {move.factor or '-'} | {move.basis} |"
    yield from _rest(view.measures)


def _rest(listed: Sequence[object]) -> Iterator[str]:
    if len(listed) > SHOWN:
        yield ""
        yield f"And {len(listed) - SHOWN} more."


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return "<br>".join(map(escaped, names[:_NAMES])) + more
