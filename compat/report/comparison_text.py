"""What changed, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from compat.report.comparison import ChangeView, ComparisonView

_SHOWN = 10
_NAMES = 4
_COLOURS = {"broken": "red", "fixed": "yellow", "error": "yellow", "works": "green"}


def comparison_text(view: ComparisonView) -> Iterator[Text]:
    """Line by line; what models and exceptions say has been made visible, and is no markup."""
    yield Text(view.sentence, style="bold")
    for move in view.environments:
        what = ", ".join(move.moved) or "nothing that is recorded"
        yield Text(f"environment {move.old} → {move.new} ({move.cases:,} cases): {what}")
    for kind in view.kinds:
        yield Text(f"{kind.kind}: {_cases(kind.cases)}", style=_COLOURS.get(kind.mark, ""))
        for change in kind.changes[:_SHOWN]:
            yield from _change(change)
        yield from _rest(kind.changes)
    if view.measures:
        yield Text(f"measures that moved by more than their noise: {len(view.measures):,}")
    for measure in view.measures[:_SHOWN]:
        yield Text(
            f"  {measure.check}, {measure.measure}: {measure.before} → {measure.after} "
            f"{measure.factor} at {measure.place} ({measure.basis})"
        )
    yield from _rest(view.measures)


def _change(change: ChangeView) -> Iterator[Text]:
    ends = f"{change.before} → {change.after}"
    yield Text(f"  {_named(change.checks)}  {ends}  {_cases(change.cases)}")
    yield Text(f"    at {_named(change.places)}")
    if change.why:
        yield Text(f"    {' '.join(change.why.split())}")
    if change.moved:
        yield Text(f"    moved: {', '.join(change.moved)}")
    if change.reproduce:
        yield Text(f"    {change.reproduce}")


def _rest(listed: Sequence[object]) -> Iterator[Text]:
    if len(listed) > _SHOWN:
        yield Text(f"  and {len(listed) - _SHOWN} more")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"{', '.join(names[:_NAMES])}{more}"


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count:,} cases"
