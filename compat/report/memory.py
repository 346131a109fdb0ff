"""Memory: what fits where at full size, and what was predicted beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from compat.fit.table import FitRow, FitTable, PairFitRow
from compat.report.evidence import TargetEvidence
from compat.report.memory_view import ErrorView, FitCellView, FitRowView, FitView, MemoryView
from compat.report.text import byte_size, visible
from compat.report.view import ModelView
from compat.results.record import CaseRecord
from compat.targets import Device, Mode

QUANTITIES = (
    ("Weights", "predicted_weights_bytes", "weights_bytes"),
    ("KV cache", "predicted_kv_cache_bytes", "kv_cache_bytes"),
    ("Peak of a forward", "predicted_peak_bytes", "peak_bytes"),
)
"""What is shown, and the measures that a case has both of where it compared them."""


@dataclass(frozen=True)
class Compared:
    """One quantity of one target."""

    model: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """By how much more was measured, as a share of what was predicted."""
        if self.predicted == 0:
            return 0.0 if self.measured == 0 else float("inf")
        return self.measured / self.predicted - 1


def memory_of(
    targets: Iterable[TargetEvidence], models: Iterable[ModelView], fit: FitTable | None
) -> MemoryView | None:
    """The section; None where nothing was predicted at all."""
    errors = tuple(_errors(targets))
    if fit is None and not errors:
        return None
    anchors = {model.id: model.anchor for model in models}
    return MemoryView(None if fit is None else _fit(fit, anchors), errors)


def _fit(table: FitTable, anchors: Mapping[str, str]) -> FitView:
    rows: dict[str, dict[Mode, FitRow]] = {}
    for row in table.rows:
        rows.setdefault(row.model, {})[row.mode] = row
    gpus = " and ".join(f"{byte_size(free)} of GPU memory" for free in table.gpus)
    return FitView(
        against=f"{gpus + ' and ' if gpus else ''}{byte_size(table.host)} of main memory, "
        f"{table.batch} x {table.length} tokens, attention {visible(table.attention, 40)}",
        modes=tuple(map(str, table.modes)),
        rows=tuple(
            FitRowView(
                name=visible(model.rpartition("/")[2], 120),
                anchor=anchors.get(visible(model, 200), ""),
                cells=tuple(_cell(own.get(mode), table.device) for mode in table.modes),
            )
            for model, own in rows.items()
        ),
        pairs=tuple(_pair(row, table.device) for row in table.pairs),
        unpredicted=tuple(
            (visible(one.slug, 120), visible(one.why, 300)) for one in table.unpredicted
        ),
    )


def _cell(row: FitRow | None, device: Device) -> FitCellView:
    if row is None:
        return FitCellView("", fits=False, batches="", title="")
    needs = byte_size(row.gpu_bytes if device is Device.GPU else row.host_bytes)
    if device is Device.GPU and row.mode.traits.offload is not None:
        needs += f" + {byte_size(row.host_bytes)} RAM"
    cache = "none" if row.cache_bytes is None else byte_size(row.cache_bytes)
    return FitCellView(
        needs=needs,
        fits=row.fits,
        batches=f"{row.largest_batch} / {row.largest_backward_batch}" if row.largest_batch else "",
        title=f"weights {byte_size(row.weights_bytes)}, KV cache {cache}, "
        f"forward {byte_size(row.forward_bytes)}, backward {byte_size(row.backward_bytes)}",
    )


def _pair(row: PairFitRow, device: Device) -> tuple[str, ...]:
    needs = row.gpu_bytes if device is Device.GPU else row.host_bytes
    names = (visible(name.rpartition("/")[2], 120) for name in (row.source, row.target))
    figures = (str(row.batch or "—"), str(row.accumulation or "—"), byte_size(needs))
    return (*names, str(row.mode), visible(row.adapter, 40), *figures)


def _errors(targets: Iterable[TargetEvidence]) -> Iterator[ErrorView]:
    """A row for each quantity in each mode, by kind of weights, in the order of the targets.

    Where several checks compare the same of a target, the one that was met worst counts.
    """
    groups: dict[tuple[str, str, str, str], dict[str, Compared]] = {}
    for target in targets:
        at = target.coordinates
        for case in target.cases.values():
            for quantity, predicted, measured in QUANTITIES:
                pair = _both(case, predicted, measured)
                if pair is not None:
                    key = (str(at.weights), str(at.device), str(at.mode), quantity)
                    one = Compared(visible(at.model, 200), *pair)
                    found = groups.setdefault(key, {})
                    found[target.id] = max(one, found.get(target.id, one), key=_size)
    for (weights, device, mode, quantity), by_target in groups.items():
        worst = max(by_target.values(), key=_size)
        yield ErrorView(
            weights=weights,
            device=device,
            mode=mode,
            quantity=quantity,
            targets=len(by_target),
            exact=sum(one.predicted == one.measured for one in by_target.values()),
            worst=f"{worst.error:+.2%}" if worst.error else "none",
            model=worst.model if worst.error else "",
            predicted=byte_size(worst.predicted) if worst.error else "",
            measured=byte_size(worst.measured) if worst.error else "",
        )


def _size(one: Compared) -> float:
    return abs(one.error)


def _both(case: CaseRecord, predicted: str, measured: str) -> tuple[float, float] | None:
    found = case.measures.get(predicted), case.measures.get(measured)
    match found:
        case (int() | float() as first, int() | float() as second):
            return float(first), float(second)
    return None
