"""Speed as small plots: one mark a model in each mode, on a logarithmic scale.

Geometry is decided here; the template only writes it down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median

from compat.report.evidence import TargetEvidence
from compat.report.plot_view import DotView, PlotView, StripView
from compat.report.targets import largest
from compat.report.text import byte_size, duration, rate, visible
from compat.report.view import ColumnView, column_of
from compat.targets import Weights

WIDTH, ROW, LEFT, RIGHT, TOP = 520, 26, 92, 14, 8
"""Of a plot, in pixels: its width, the height of a row, and margins."""

_FEWEST = 2
_STEPS = (1, 2, 5)


_PLOTS: tuple[tuple[str, str, tuple[str, ...], Callable[[float], str]], ...] = (
    ("Time to load", "left is faster", ("load_seconds",), duration),
    ("Tokens per second", "right is faster", ("tokens_per_second",), rate),
    (
        "Peak of a forward",
        "beside the weights; left is less",
        ("peak_bytes", "peak_allocated_bytes"),
        byte_size,
    ),
)


def plots_of(
    targets: Iterable[TargetEvidence], columns: Sequence[ColumnView]
) -> tuple[PlotView, ...]:
    """The plots that have values in them, by measure and kind of weights."""
    by_weights: dict[Weights, list[TargetEvidence]] = {}
    for target in targets:
        if target.verdict.word.is_tested or target.cases:
            by_weights.setdefault(target.coordinates.weights, []).append(target)
    plots = (
        _plot(title, note, weights, measures, write, found, columns)
        for title, note, measures, write in _PLOTS
        for weights, found in sorted(
            by_weights.items(), key=lambda one: tuple(Weights).index(one[0])
        )
    )
    return tuple(plot for plot in plots if plot is not None)


def _plot(
    title: str,
    note: str,
    weights: Weights,
    measures: Sequence[str],
    write: Callable[[float], str],
    targets: Sequence[TargetEvidence],
    columns: Sequence[ColumnView],
) -> PlotView | None:
    values = {
        column: [
            (target, value)
            for target in targets
            if (target.coordinates.device, target.coordinates.mode) == (column.device, column.mode)
            and (value := _value(target, measures)) is not None
        ]
        for column in columns
    }
    values = {column: found for column, found in values.items() if len(found) >= _FEWEST}
    everything = [value for found in values.values() for _, value in found]
    if not everything:
        return None
    place = _scale(min(everything), max(everything))
    strips = tuple(
        _strip(column, TOP + ROW * row + ROW // 2, found, place, write)
        for row, (column, found) in enumerate(values.items())
    )
    ticks = tuple(
        (place(value), write(value)) for value in _ticks(min(everything), max(everything))
    )
    return PlotView(title, note, weights, TOP + ROW * len(strips) + 24, strips, ticks)


def _value(target: TargetEvidence, measures: Iterable[str]) -> float | None:
    found = (largest(target.cases.values(), name) for name in measures)
    return next((value for value in found if value is not None and value > 0), None)


def _strip(
    column: ColumnView,
    y: int,
    found: Sequence[tuple[TargetEvidence, float]],
    place: Callable[[float], float],
    write: Callable[[float], str],
) -> StripView:
    middle = median(value for _, value in found)
    dots = tuple(
        DotView(place(value), f"{_name(target)}: {write(value)}", target.anchor)
        for target, value in found
    )
    return StripView(column_of(column.device, column.mode), y, place(middle), write(middle), dots)


def _name(target: TargetEvidence) -> str:
    return visible(target.coordinates.model.rpartition("/")[2], 60)


def _scale(lowest: float, highest: float) -> Callable[[float], float]:
    """Where a value lies between the margins; in the middle where all are one."""
    low, high = math.log10(lowest), math.log10(highest)
    room = WIDTH - LEFT - RIGHT

    def place(value: float) -> float:
        share = (math.log10(value) - low) / (high - low) if high > low else 0.5
        return round(LEFT + share * room, 1)

    return place


def _ticks(lowest: float, highest: float) -> list[float]:
    """Round values between the two; powers of ten alone where they are many decades apart."""
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    steps = _STEPS if last - first <= 3 else (1,)
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return [tick for tick in ticks if lowest <= tick <= highest]
