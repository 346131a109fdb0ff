"""How models are configured: dtype, device map, attention, tokens, generation, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from compat.outcomes import Outcome
from compat.registry.spec import ModelSpec
from compat.report.evidence import TargetEvidence
from compat.report.markdown_fit import fit_lines
from compat.report.markdown_table import escaped, table
from compat.report.material import Material, is_decided, mode_of
from compat.report.text import byte_size, parameters, visible
from compat.results.record import Measures
from compat.targets import Mode, Weights

_BYTES = {Mode.FP32: 4, Mode.BF16: 2}
"""Bytes a parameter, in the modes where that is all there is to it."""
_GENERATION = (
    "explicit_settings_win",
    "stops_at_end_of_text",
    "stops_at_given_token",
    "greedy_repeats",
    "sampling_repeats_with_seed",
    "cache_changes_nothing",
    "padded_batch_generates_as_singles",
)
_CHECKLIST = (
    ("dtypes are as asked", ("dtype_as_asked",)),
    ("weights wait where the device map says", ("weights_wait_where_asked",)),
    ("attention implementations agree", ("attention_implementations_agree",)),
    ("memory of the weights is as predicted", ("weights_as_predicted", "footprint_as_predicted")),
    ("memory of a forward is as predicted", ("peak_as_predicted",)),
    ("special tokens are there, or a stated fallback", ("special_tokens_present",)),
    ("explicit generation settings win", ("explicit_settings_win",)),
)


def configuration_page(material: Material) -> str:
    """The page as text."""
    return "\n".join(_lines(material)).rstrip() + "\n"


def _lines(material: Material) -> Iterator[str]:
    yield "# Model configuration analysis"
    yield ""
    yield material.dated
    yield ""
    yield from _models(material)
    yield from _modes(material)
    yield from _tokens(material)
    yield from _generation(material)
    yield from fit_lines(material.fit) if material.fit else _memory_at_size(material)
    yield from _memory_measured(material)
    yield from _checklist(material)


def _models(material: Material) -> Iterator[str]:
    yield "## Models (from the registry)"
    yield ""
    families: dict[str, list[ModelSpec]] = {}
    for spec in material.registry.models:
        families.setdefault(spec.family, []).append(spec)
    for family, specs in families.items():
        yield f"### {escaped(family)}"
        yield ""
        for spec in specs:
            size = f"{parameters(spec.parameters)} parameters, hidden {spec.widths.hidden}"
            stored = f"stored as {spec.checkpoint.dtype}, {spec.checkpoint.gb:g} GB"
            yield f"- **{escaped(spec.id)}** ({size}, {escaped(stored)})"
        yield ""


def _modes(material: Material) -> Iterator[str]:
    """What was asked for and what was loaded, by mode: as the loaded models say."""
    yield "## Precision, device maps and attention (from the records)"
    yield ""
    found: dict[tuple[Weights, str], list[TargetEvidence]] = {}
    for target in material.targets:
        found.setdefault((target.coordinates.weights, mode_of(target)), []).append(target)
    yield from table(
        (
            "Weights",
            "Mode",
            "Targets loaded",
            "dtype",
            "Device map",
            "Attention",
            "Share in 8 or 4 bit",
        ),
        (
            (str(weights), *row)
            for (weights, mode), targets in found.items()
            if (row := _mode_row(mode, targets))[1] != "0"
        ),
    )


def _mode_row(mode: str, targets: Iterable[TargetEvidence]) -> tuple[str, ...]:
    loaded = [
        case.measures
        for target in targets
        if (case := target.cases.get("loads")) is not None and case.measures.get("dtype")
    ]
    shares = [
        float(share)
        for measures in loaded
        if isinstance(share := measures.get("quantized_share"), int | float)
    ]
    share = f"{min(shares):.0%} to {max(shares):.0%}" if shares and max(shares) > 0 else "-"
    said = (_said(loaded, name) for name in ("dtype", "device_map", "attention"))
    return (escaped(mode), f"{len(loaded):,}", *said, share)


def _said(loaded: Iterable[Measures], name: str) -> str:
    counts = Counter(str(measures[name]) for measures in loaded if measures.get(name) is not None)
    if len(counts) == 1:
        return escaped(visible(next(iter(counts)), 120))
    return ", ".join(
        f"{escaped(visible(word, 120))} ({count})" for word, count in counts.most_common(4)
    )


def _tokens(material: Material) -> Iterator[str]:
    yield "## Tokenizers (as loaded; a twin's is made here, after the model's own kind)"
    yield ""
    yield from table(
        ("Model", "End of text", "Beginning of text", "Padding"),
        (
            (material.name(spec.id), *(_word(measures, f"{at}_token") for at in _TOKENS))
            for spec in material.registry.models
            if (measures := _measures(material, spec.id, "special_tokens_present"))
        ),
    )


_TOKENS = ("eos", "bos", "pad")


def _word(measures: Measures, name: str) -> str:
    value = measures.get(name)
    return "none" if value is None else escaped(visible(str(value), 80))


def _measures(material: Material, model: str, check: str) -> Measures:
    """What a check measured on the first target of a model that has anything."""
    for case in material.cases(model, (check,)):
        if case.measures:
            return case.measures
    return {}


def _generation(material: Material) -> Iterator[str]:
    yield "## Generation settings"
    yield ""
    yield "Every case passes its settings explicitly; none rests on a checkpoint's defaults."
    yield ""
    yield from table(
        ("Check", "Weights", "Passed", "Failing"),
        (
            (escaped(check), str(weights), f"{passed:,} of {total:,} targets", _listed(failing))
            for check in _GENERATION
            for weights, passed, total, failing in _counts(material, (check,))
        ),
    )


def _counts(
    material: Material, checks: Collection[str]
) -> Iterator[tuple[Weights, int, int, tuple[str, ...]]]:
    """By kind of weights: cases that passed, that say anything, and the models of the others."""
    for weights in Weights:
        passed, total, failing = 0, 0, dict[str, None]()
        for target in material.targets:
            if target.coordinates.weights is not weights:
                continue
            for name, case in target.cases.items():
                if name in checks and is_decided(case):
                    total += 1
                    if case.outcome in (Outcome.PASSED, Outcome.FIXED):
                        passed += 1
                    else:
                        failing[target.coordinates.model] = None
        if total:
            yield weights, passed, total, tuple(failing)


def _listed(models: tuple[str, ...]) -> str:
    more = f" and {len(models) - 4} more" if len(models) > 4 else ""
    return (", ".join(map(escaped, models[:4])) + more) or "-"


def _memory_at_size(material: Material) -> Iterator[str]:
    yield "## Memory at size (parameters of the registry times bytes; weights alone)"
    yield ""
    yield from table(
        ("Model", "Parameters", "Stored", *(str(mode) for mode in _BYTES)),
        (
            (
                escaped(spec.id),
                parameters(spec.parameters),
                f"{spec.checkpoint.gb:g} GB",
                *(byte_size(spec.parameters * size) for size in _BYTES.values()),
            )
            for spec in material.registry.models
        ),
    )


def _memory_measured(material: Material) -> Iterator[str]:
    yield "## Memory measured (of what was loaded: a twin's figures are a twin's)"
    yield ""
    yield from table(
        (
            "Model",
            "Mode",
            "Weights",
            "Predicted",
            "Peak of a forward",
            "Predicted",
            "Cache a token",
        ),
        (
            row
            for spec in material.registry.models
            for target in material.evidence.get(spec.id, ())
            for row in [_memory_row(material, target)]
            if set(row[2:]) != {"-"}
        ),
    )


def _memory_row(material: Material, target: TargetEvidence) -> tuple[str, ...]:
    measures: Measures = {
        name: value
        for check in ("weights_as_predicted", "peak_as_predicted", "cache_as_predicted")
        if (case := target.cases.get(check)) is not None
        for name, value in case.measures.items()
    }
    cache, tokens = measures.get("kv_cache_bytes"), measures.get("kv_cache_tokens")
    a_token = "-"
    if isinstance(cache, int | float) and isinstance(tokens, int | float) and tokens:
        a_token = byte_size(cache / tokens)
    names = ("weights_bytes", "predicted_weights_bytes", "peak_bytes", "predicted_peak_bytes")
    return (
        material.name(target.coordinates.model),
        mode_of(target),
        *(_size(measures, name) for name in names),
        a_token,
    )


def _size(measures: Measures, name: str) -> str:
    value = measures.get(name)
    return byte_size(value) if isinstance(value, int | float) else "-"


def _checklist(material: Material) -> Iterator[str]:
    yield "## Validation checklist"
    yield ""
    for title, checks in _CHECKLIST:
        counts = tuple(_counts(material, checks))
        for weights, passed, total, failing in counts:
            mark = "x" if passed == total else " "
            beside = f"; not in {_listed(failing)}" if failing else ""
            yield f"- [{mark}] {title}, {weights}: {passed:,} of {total:,}{beside}"
        if not counts:
            yield f"- [ ] {title}: not tested"
