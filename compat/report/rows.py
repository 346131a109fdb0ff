"""The matrix: models by family, a cell for each mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compat.registry.pair import Entry, PairSpec, entries_of
from compat.registry.spec import ARROW, BlockFacts, ModelSpec, Registry
from compat.report.evidence import TargetEvidence, anchor_part
from compat.report.marks import verdict_mark
from compat.report.targets import open_target, score_of
from compat.report.text import parameters, visible
from compat.report.view import (
    CellView,
    ColumnView,
    FactsView,
    FamilyView,
    ModelView,
    OtherView,
)
from compat.results.verdict import Word, judge_model, leading
from compat.targets import CPU_MODES, Device, Kind, Mode, Weights
from compat.targets.target import BARE

OUTSIDE = "outside the registry"

_MODES = tuple(Mode)
_DEVICES = tuple(Device)


def columns_of(targets: Iterable[TargetEvidence]) -> tuple[ColumnView, ...]:
    """The CPU modes always, and every other mode that a target was planned in."""
    found = {(Device.CPU, mode) for mode in CPU_MODES} | {
        (target.coordinates.device, target.coordinates.mode)
        for target in targets
        if target.coordinates.weights is not Weights.CONFIG
    }
    ordered = sorted(found, key=lambda at: (_DEVICES.index(at[0]), _MODES.index(at[1])))
    return tuple(ColumnView(device, mode) for device, mode in ordered)


def rows_of(
    targets: Iterable[TargetEvidence],
    registry: Registry,
    columns: Sequence[ColumnView],
    areas: Mapping[str, str],
) -> dict[tuple[str, str], ModelView]:
    """Rows by model and wrapper: the registry's in its order, then those only records know.

    Pairs have rows like models, in a table of their own.
    """
    found: dict[tuple[str, str], list[TargetEvidence]] = {}
    for target in targets:
        at = target.coordinates
        found.setdefault((at.model, at.wrapper), []).append(target)
    specs = {entry.id: entry for entry in entries_of(registry)}
    wrapped: dict[str, list[str]] = {}
    for model, wrapper in sorted(found):
        wrapped.setdefault(model, []).append(wrapper)
    keys = [
        (model, wrapper)
        for model in dict.fromkeys([*specs, *wrapped])
        for wrapper in dict.fromkeys([BARE, *wrapped.get(model, ())])
        if wrapper != BARE or model in specs or (model, BARE) in found
    ]
    return {
        (model, wrapper): _model(
            model, wrapper, specs.get(model), found.get((model, wrapper), []), columns, areas
        )
        for model, wrapper in keys
    }


def families_of(models: Iterable[ModelView]) -> tuple[FamilyView, ...]:
    """Rows by family, in the order of each family's first model."""
    families: dict[str, list[ModelView]] = {}
    for model in models:
        families.setdefault(model.family, []).append(model)
    return tuple(FamilyView(name, tuple(rows)) for name, rows in families.items())


def _model(
    model: str,
    wrapper: str,
    spec: Entry | None,
    targets: Sequence[TargetEvidence],
    columns: Sequence[ColumnView],
    areas: Mapping[str, str],
) -> ModelView:
    organisation, name = _names(model)
    suffix = "" if wrapper == BARE else f"-{anchor_part(wrapper, None)}"
    tested = [target for target in targets if target.coordinates.weights is not Weights.CONFIG]
    config = [target for target in targets if target.coordinates.weights is Weights.CONFIG]
    cells = tuple(_cell(tested, column, spec) for column in columns)
    leads = [
        lead
        for column in columns
        if (lead := leading(target.verdict for target in _at(tested, column))) is not None
    ]
    word = judge_model(leads)
    return ModelView(
        id=visible(model, 200),
        name=visible(name, 120),
        organisation=visible(organisation, 120),
        wrapper="" if wrapper == BARE else visible(wrapper, 80),
        family=spec.family if spec else OUTSIDE,
        anchor=f"m-{anchor_part(model, spec)}{suffix}",
        find=_find(model, spec),
        facts=facts_of(spec) if spec else FactsView(),
        structure=_pick(config, "not checked"),
        cells=cells,
        word=word,
        mark=verdict_mark(word),
        targets=tuple(open_target(target, areas) for target in targets),
    )


def _names(model: str) -> tuple[str, str]:
    """Organisation and name; of a pair no organisation, and the names of both models."""
    if Kind.of(model) is Kind.PAIR:
        return "", " → ".join(end.rpartition("/")[2] for end in model.split(ARROW))
    organisation, _, name = model.rpartition("/")
    return organisation, name


def _find(model: str, entry: Entry | None) -> str:
    words = [model]
    for spec in entry.models if entry else ():
        words += [*spec.aliases, spec.family, spec.model_class]
    return visible(" ".join(dict.fromkeys(words)).lower(), 400)


def _at(targets: Iterable[TargetEvidence], column: ColumnView) -> list[TargetEvidence]:
    return [
        target
        for target in targets
        if (target.coordinates.device, target.coordinates.mode) == (column.device, column.mode)
    ]


def _cell(targets: Iterable[TargetEvidence], column: ColumnView, entry: Entry | None) -> CellView:
    models = entry.models if entry else ()
    if any(spec.modes is not None and column.mode not in spec.modes for spec in models):
        why = "The registry does not test this model in this mode."
    else:
        why = "No run so far has tested this."
    return _pick(_at(targets, column), why)


def _pick(targets: Sequence[TargetEvidence], otherwise: str) -> CellView:
    lead = leading(target.verdict for target in targets)
    if lead is None:
        mark = verdict_mark(Word.NOT_TESTED)
        return CellView(Word.NOT_TESTED, mark, "", "", "", "", otherwise)
    by_id = {target.id: target for target in targets}
    age = by_id[lead.target].age
    return CellView(
        word=lead.word,
        mark=verdict_mark(lead.word),
        evidence=str(lead.weights) if lead.word.is_tested else "",
        score=score_of(lead),
        anchor=by_id[lead.target].anchor,
        target=lead.target,
        why=visible(lead.why, 400),
        others=tuple(
            OtherView(target.verdict.word, target.coordinates.weights, target.anchor)
            for target in targets
            if target.id != lead.target
        ),
        age="" if age is None else str(age),
        stale=age is not None and age.stale,
    )


def facts_of(spec: Entry) -> FactsView:
    """What the registry says of a model, formatted."""
    if isinstance(spec, PairSpec):
        return FactsView(
            line=visible(f"States of {spec.source.id}, put in as embeddings of {spec.target.id}.")
        )
    widths, checkpoint = spec.widths, spec.checkpoint
    gated = {"False": "not gated", "None": "gating not known"}.get(
        str(checkpoint.gated), f"gated ({checkpoint.gated})"
    )
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
        f"licence {checkpoint.license}, {gated}",
        "" if spec.native else "code of its own",
        f"needs {', '.join(spec.requires)}" if spec.requires else "",
    )
    return FactsView(
        size=parameters(spec.parameters),
        layers=str(spec.blocks.count),
        hidden=str(widths.hidden),
        block=spec.blocks.block_class,
        line=visible(" · ".join(part for part in parts if part)),
        notes=tuple(visible(note) for note in spec.evidence.notes),
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
