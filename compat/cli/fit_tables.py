"""What `compat fit` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compat.fit.budget import CUDA_CONTEXT, FLOAT_MARGIN, HOST_MARGIN, QUANTIZED_MARGIN, RUNTIME
from compat.fit.judge import gigabytes
from compat.fit.table import FitRow, FitTable
from compat.targets import Device, Mode

FITS, DOES_NOT = "[green]✓[/green]", "[red]✗[/red]"
ELSEWHERE = frozenset({Mode.AUTO, Mode.CPU_OFFLOAD, Mode.DISK_OFFLOAD})
"""Modes that on a GPU take main memory worth a figure of its own."""


def show(table: FitTable, console: Console) -> None:
    """Print a table's parts, each under a sentence that says what it shows."""
    for line in headings(table):
        console.print(line, style="bold")
    if table.rows:
        console.print(_grid(table, lambda row: _needs(row, table.device)))
        console.print(
            f"\nLargest batch of {table.length} tokens: read / with a backward past frozen "
            "weights, as a soft prompt or an adapter is trained",
            style="bold",
        )
        console.print(_grid(table, _batches))
    if table.pairs:
        console.print(f"\nAn adapter trained on {table.length} tokens of each", style="bold")
        console.print(_pairs(table))
    for one in table.unpredicted:
        console.print(f"not predicted: {escape(one.slug)}: {escape(one.why)}")
    for line in footnotes(table):
        console.print(line, style="dim")


def headings(table: FitTable) -> Iterator[str]:
    """What is shown, and against what."""
    gpus = " and ".join(f"{gigabytes(free)} of GPU memory" for free in table.gpus)
    yield f"{gpus + ', ' if gpus else ''}{gigabytes(table.host)} of main memory"
    yield (
        f"GB that have to be free for a forward of {table.batch} x {table.length} tokens "
        f"({table.attention})"
    )


def footnotes(table: FitTable) -> Iterator[str]:
    """What is in the figures."""
    if table.device is Device.GPU:
        yield (
            f"Margins included: {FLOAT_MARGIN:.0%}, quantized {QUANTIZED_MARGIN:.0%}, and "
            f"{gigabytes(CUDA_CONTEXT)} for CUDA itself. After + is main memory."
        )
    else:
        yield (
            f"Margins included: {FLOAT_MARGIN:.0%}, quantized {QUANTIZED_MARGIN:.0%}, of "
            f"activations {HOST_MARGIN:.0%}, and {gigabytes(RUNTIME)} for the libraries."
        )


def _grid(table: FitTable, cell: Callable[[FitRow], str]) -> Table:
    """Models by modes."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("model", no_wrap=True)
    for mode in table.modes:
        grid.add_column(mode, justify="right", no_wrap=True)
    models: dict[str, dict[Mode, FitRow]] = {}
    for row in table.rows:
        models.setdefault(row.slug, {})[row.mode] = row
    for slug, rows in models.items():
        grid.add_row(escape(slug), *(cell(rows[m]) if m in rows else "" for m in table.modes))
    return grid


def _needs(row: FitRow, device: Device) -> str:
    mark = FITS if row.fits else DOES_NOT
    if device is Device.CPU:
        return f"{row.host_bytes / 1e9:.1f} {mark}"
    beside = f" + {row.host_bytes / 1e9:.1f}" if row.mode in ELSEWHERE else ""
    return f"{row.gpu_bytes / 1e9:.1f}{beside} {mark}"


def _batches(row: FitRow) -> str:
    if not row.largest_batch:
        return "—"
    return f"{row.largest_batch} / {row.largest_backward_batch or '—'}"


def _pairs(table: FitTable) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("source", "target", "mode", "adapter"):
        grid.add_column(title, no_wrap=True)
    for title in ("parameters", "batch", "accumulation", "GB"):
        grid.add_column(title, justify="right", no_wrap=True)
    for row in table.pairs:
        size = row.gpu_bytes if table.device is Device.GPU else row.host_bytes
        mark = FITS if row.batch else DOES_NOT
        grid.add_row(
            escape(row.source.rpartition("/")[2]),
            escape(row.target.rpartition("/")[2]),
            row.mode,
            row.adapter,
            f"{row.parameters / 1e6:.1f} M",
            str(row.batch or "—"),
            str(row.accumulation or "—"),
            f"{size / 1e9:.1f} {mark}",
        )
    return grid
