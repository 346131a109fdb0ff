"""What models take of memory at full size, as `compat fit` predicted it, in Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator

from compat.fit.table import FitRow, FitTable, PairFitRow
from compat.report.markdown_table import escaped, table
from compat.report.text import byte_size, visible
from compat.targets import Device


def fit_lines(fit: FitTable) -> Iterator[str]:
    """A section on memory: of every model in every mode, and of training an adapter."""
    machine = " and ".join(byte_size(free) for free in fit.gpus)
    against = f"GPUs with {machine} free" if machine else f"{byte_size(fit.host)} of main memory"
    yield "## Memory at size (predicted by compat fit, from configs alone)"
    yield ""
    yield (
        f"Held against {against}, {fit.batch} x {fit.length} tokens, attention "
        f"{escaped(visible(fit.attention, 40))}. To be free: margins included."
    )
    yield ""
    yield from table(
        (
            "Model",
            "Mode",
            "Weights",
            "KV cache",
            "Forward",
            "Backward",
            "To be free",
            "Fits",
            "Batch (forward / backward)",
        ),
        (_row(row, fit.device) for row in fit.rows),
    )
    if fit.pairs:
        yield "### Batch sizes for an adapter between two frozen models"
        yield ""
        yield from table(
            (
                "Model combination",
                "Mode",
                "Adapter",
                "Batch size",
                "Grad accum",
                "Effective batch",
                "To be free",
            ),
            (_pair(row, fit.device) for row in fit.pairs),
        )
    for one in fit.unpredicted:
        yield f"- Not predicted: {escaped(visible(one.model, 200))}: {escaped(visible(one.why))}"
    if fit.unpredicted:
        yield ""


def _row(row: FitRow, device: Device) -> tuple[str, ...]:
    needs = byte_size(row.gpu_bytes if device is Device.GPU else row.host_bytes)
    if device is Device.GPU and row.mode.traits.offload is not None:
        needs += f" + {byte_size(row.host_bytes)} RAM"
    batches = f"{row.largest_batch} / {row.largest_backward_batch}" if row.largest_batch else "-"
    return (
        escaped(visible(row.model, 200)),
        str(row.mode),
        byte_size(row.weights_bytes),
        "none" if row.cache_bytes is None else byte_size(row.cache_bytes),
        byte_size(row.forward_bytes),
        byte_size(row.backward_bytes),
        needs,
        "yes" if row.fits else "no",
        batches,
    )


def _pair(row: PairFitRow, device: Device) -> tuple[str, ...]:
    needs = row.gpu_bytes if device is Device.GPU else row.host_bytes
    ends = (visible(name.rpartition("/")[2], 120) for name in (row.source, row.target))
    effective = row.batch * row.accumulation
    figures = (str(one) if one else "-" for one in (row.batch, row.accumulation, effective))
    return (
        escaped(" + ".join(ends)),
        str(row.mode),
        escaped(visible(row.adapter, 40)),
        *figures,
        byte_size(needs),
    )
