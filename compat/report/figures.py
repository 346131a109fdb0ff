"""Speed and memory: one table a measure, models by modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from compat.report.evidence import TargetEvidence
from compat.report.targets import largest
from compat.report.text import byte_size, duration, rate
from compat.report.view import ColumnView, FigureTable, ModelView

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
    targets: Mapping[str, TargetEvidence],
) -> tuple[FigureTable, ...]:
    """The tables that have any value; a cell's value is that of the target that leads it."""
    tables = []
    for title, unit, take, write in _TABLES:
        rows = []
        for model in models:
            values = tuple(_value(targets.get(cell.target), take, write) for cell in model.cells)
            if any(values):
                rows.append((model.name, model.anchor, values))
        if rows:
            tables.append(FigureTable(title, unit, tuple(columns), tuple(rows)))
    return tuple(tables)


def _value(target: TargetEvidence | None, take: Take, write: Write) -> str:
    if target is None or not target.verdict.word.is_tested:
        return ""
    value = take(target)
    return "" if value is None else write(value)
