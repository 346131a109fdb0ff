"""The table of `compat fit` as a file: JSON whole, CSV and Markdown for reading."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from compat.fit.judge import gigabytes
from compat.fit.table import FitRow, FitTable, PairFitRow, write_table
from compat.results.atomic import replace_text
from compat.targets import Device
from compat.targets.selection import SelectionError


def write_export(table: FitTable, path: Path) -> None:
    """Write a table in the format that the file's name says.

    Raises SelectionError for another, OSError where it can't be written.
    """
    match path.suffix:
        case ".json":
            write_table(table, path)
        case ".csv":
            replace_text(path, as_csv(table))
        case ".md":
            replace_text(path, as_markdown(table))
        case other:
            raise SelectionError(f"--export: {other or path.name!r} is none of .csv, .json, .md")


def as_csv(table: FitTable) -> str:
    """A line a model and mode, every figure in bytes."""
    text = io.StringIO()
    names = [name for name in FitRow.model_fields if name != "weights"]
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.model_dump(mode="json") for row in table.rows)
    return text.getvalue()


def as_markdown(table: FitTable) -> str:
    """Tables as people keep them in a repository."""
    return "\n".join(_lines(table)) + "\n"


def _lines(table: FitTable) -> Iterator[str]:
    gpus = ", ".join(gigabytes(free) for free in table.gpus)
    yield "# What fits"
    yield ""
    yield f"GPU memory: {gpus or 'none'}. Main memory: {gigabytes(table.host)}."
    yield f"{table.batch} x {table.length} tokens, attention {table.attention}; by `compat fit`."
    yield ""
    yield (
        "| Model | Mode | Weights | KV cache | Activations | Backward | To be free | Fits "
        "| Largest batch | with backward |"
    )
    yield "|---|---|--:|--:|--:|--:|--:|---|--:|--:|"
    yield from (_model_line(row, table.device) for row in table.rows)
    if table.pairs:
        yield ""
        yield "| Source | Target | Mode | Adapter | Batch | Accumulation | To be free |"
        yield "|---|---|---|---|--:|--:|--:|"
        yield from (_pair_line(row, table.device) for row in table.pairs)
    if table.unpredicted:
        yield ""
        yield from (f"- not predicted: {one.model}: {one.why}" for one in table.unpredicted)


def _model_line(row: FitRow, device: Device) -> str:
    figures = (row.weights_bytes, row.cache_bytes or 0, row.forward_bytes, row.backward_bytes)
    free = row.gpu_bytes if device is Device.GPU else row.host_bytes
    cells = [row.model, row.mode, *map(gigabytes, figures), gigabytes(free)]
    cells += ["yes" if row.fits else "no", str(row.largest_batch), str(row.largest_backward_batch)]
    return f"| {' | '.join(cells)} |"


def _pair_line(row: PairFitRow, device: Device) -> str:
    free = row.gpu_bytes if device is Device.GPU else row.host_bytes
    cells = (row.source, row.target, row.mode, row.adapter, str(row.batch), str(row.accumulation))
    return f"| {' | '.join(cells)} | {gigabytes(free)} |"
