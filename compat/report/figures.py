"""Speed and memory: one table a measure, models by modes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from compat.report.evidence import TargetEvidence
from compat.report.targets import largest
from compat.report.text import byte_size, duration, rate, visible
from compat.report.view import ColumnView, FigureTable, ModelView
from compat.targets import Device, Mode, Weights
from compat.targets.target import BARE

Take = Callable[[TargetEvidence], float | None]
Write = Callable[[float], str]


def _measure(name: str) -> Take:
    return lambda target: largest(target.cases.values(), name)


def _resident(target: TargetEvidence) -> float | None:
    """The peak where it was taken, else the largest that was seen after a case."""
    cases = target.cases.values()
    return largest(cases, "peak_rss_bytes") or largest(cases, "resident_bytes")


def _cache_per_token(target: TargetEvidence) -> float | None:
    """Bytes of the model's cache over the tokens that it was filled with."""
    cases = target.cases.values()
    cache, tokens = largest(cases, "kv_cache_bytes"), largest(cases, "kv_cache_tokens")
    return cache / tokens if cache and tokens else None


def _seconds(target: TargetEvidence) -> float | None:
    """None where some have not run: it would look fast."""
    if target.missing:
        return None
    return sum(case.seconds for case in target.cases.values()) or None


_TABLES: tuple[tuple[str, str, Take, Write], ...] = (
    ("Tokens per second", "the fastest generation", _measure("tokens_per_second"), rate),
    ("Time to load", "from a checkpoint on disk", _measure("load_seconds"), duration),
    ("Weights in memory", "GB are 10⁹ bytes", _measure("weights_bytes"), byte_size),
    ("Peak of a forward", "beside the weights", _measure("peak_bytes"), byte_size),
    ("KV cache", "a token of context, states included", _cache_per_token, byte_size),
    ("Peak resident memory", "of the whole process", _resident, byte_size),
    ("Time for all checks", "load included", _seconds, duration),
)


def figures_of(
    models: Sequence[ModelView],
    columns: Sequence[ColumnView],
    targets: Iterable[TargetEvidence],
) -> tuple[FigureTable, ...]:
    """The tables that have any value: one for each measure and kind of weights.

    `targets` are comparable ones (`comparable`).
    """
    by_place: dict[Weights, dict[tuple[str, Device, Mode], TargetEvidence]] = {}
    for target in targets:
        at = target.coordinates
        if at.wrapper == BARE:
            by_place.setdefault(at.weights, {})[visible(at.model, 200), at.device, at.mode] = target
    return tuple(
        table
        for title, unit, take, write in _TABLES
        for weights in Weights
        if weights in by_place
        if (table := _table(title, unit, weights, models, columns, by_place[weights], take, write))
    )


def _table(
    title: str,
    unit: str,
    weights: Weights,
    models: Sequence[ModelView],
    columns: Sequence[ColumnView],
    targets: Mapping[tuple[str, Device, Mode], TargetEvidence],
    take: Take,
    write: Write,
) -> FigureTable | None:
    rows = []
    for model in models:
        found = [targets.get((model.id, column.device, column.mode)) for column in columns]
        values = tuple(_value(target, take, write) for target in found)
        if not model.wrapper and any(values):
            rows.append((model.name, model.anchor, values))
    return FigureTable(title, unit, weights, tuple(columns), tuple(rows)) if rows else None


def _value(target: TargetEvidence | None, take: Take, write: Write) -> str:
    value = None if target is None else take(target)
    return "" if value is None else write(value)
