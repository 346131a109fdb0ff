"""What the registry says of a model, for reading."""

from __future__ import annotations

from compat.fit.table import FitTable
from compat.registry.pair import Entry, PairSpec
from compat.registry.spec import BlockFacts, ModelSpec
from compat.report.text import parameters, visible
from compat.report.view import FactsView
from compat.targets import Device, Mode

_BITS = {"float32": 32, "bfloat16": 16, "float16": 16}
_QUANTIZED_BITS = {"int8": 8, "nf4": 4, "fp4": 4}
_GIGABYTE = 1e9


def least_gigabytes(entry: Entry | None, mode: Mode) -> float | None:
    """The weights of a model, or of both models of a pair, in a mode: what it needs at the least.

    Parameters times their bits, in GB; activations, cache and what is not quantized come on top.
    None for an offloading mode, whose weights lie elsewhere, and where the registry has no entry.
    """
    if entry is None or mode.traits.offload is not None:
        return None
    if mode is Mode.NATIVE:
        return sum(spec.checkpoint.gb for spec in entry.models)
    quantization = mode.traits.quantization
    bits = _QUANTIZED_BITS[quantization] if quantization else _BITS[mode.traits.dtype or "bfloat16"]
    return sum(spec.parameters for spec in entry.models) * bits / 8 / _GIGABYTE


def needs_of(table: FitTable | None) -> dict[tuple[str, Device, Mode], float]:
    """What has to be free for a forward, in GB, of every model in every mode that was predicted."""
    if table is None:
        return {}
    gpu = table.device is Device.GPU
    return {
        (row.model, table.device, row.mode): (row.gpu_bytes if gpu else row.host_bytes) / _GIGABYTE
        for row in table.rows
    }


def facts_of(spec: Entry) -> FactsView:
    """What the registry says of a model, formatted."""
    if isinstance(spec, PairSpec):
        return FactsView(
            line=visible(f"States of {spec.source.id}, put in as embeddings of {spec.target.id}."),
            line_number=spec.line,
        )
    widths, checkpoint = spec.widths, spec.checkpoint
    gated = {"False": "not gated", "None": "gating not known"}.get(
        str(checkpoint.gated), f"gated ({checkpoint.gated})"
    )
    licence = f"licence {checkpoint.license}" if checkpoint.license else "no licence stated"
    quantized = f", {checkpoint.quantization}" if checkpoint.quantization else ""
    parts = (
        f"{spec.architecture} ({spec.model_class})",
        f"{spec.parameters:,} parameters",
        f"vocabulary {widths.vocabulary:,}",
        _heads(spec),
        f"blocks at {spec.blocks.path}",
        _stack("encoder", spec.encoder),
        _stack("vision", spec.vision),
        f"stored as {checkpoint.dtype}{quantized}, {checkpoint.gb:g} GB",
        f"{licence}, {gated}",
        "" if spec.native else "code of its own",
        f"needs {', '.join(spec.requires)}" if spec.requires else "",
    )
    return FactsView(
        size=parameters(spec.parameters),
        layers=str(spec.blocks.count),
        hidden=str(widths.hidden),
        block=spec.blocks.block_class,
        path=spec.blocks.path,
        line=visible(" · ".join(part for part in parts if part)),
        notes=tuple(visible(note) for note in spec.evidence.notes),
        model_class=str(spec.model_class),
        line_number=spec.line,
        confidence=spec.evidence.confidence,
    )


def _heads(spec: ModelSpec) -> str:
    widths = spec.widths
    if widths.heads is None:
        return "no attention"
    grouped = widths.key_value_heads not in (None, widths.heads)
    shared = f" sharing {widths.key_value_heads} key-value heads" if grouped else ""
    width = f" of {widths.head}" if widths.head else ""
    return f"{widths.heads} heads{width}{shared}"


def _stack(name: str, blocks: BlockFacts | None) -> str:
    return "" if blocks is None else f"{name} of {blocks.count} {blocks.block_class}"
