"""Pairs of models for latent communication: what has to fit, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from compat.outcomes import Outcome
from compat.registry.pair import PairSpec
from compat.registry.spec import ModelSpec
from compat.report.markdown_table import escaped, table
from compat.report.material import TWIN, Material, is_decided
from compat.report.text import byte_size, measure_text, number, parameters, visible
from compat.results.record import CaseRecord, Measures
from compat.results.verdict import Word

_GLYPHS = {
    Word.WORKS: "✅ **COMPATIBLE**",
    Word.PARTIAL: "⚠️ **PARTLY COMPATIBLE**",
    Word.BROKEN: "❌ **NOT COMPATIBLE**",
    Word.BLOCKED: "⛔ **BLOCKED HERE**",
    Word.NOT_TESTED: "**NOT TESTED**",
}
_LEARNING = {"adapter_learns": "Adapter", "resampler_learns": "Perceiver resampler"}
_REQUIREMENTS = (
    ("Both models have what a pair needs", "pair_has_its_parts"),
    ("Adapter carries states into `inputs_embeds`", "adapter_carries_states"),
    ("Resampler carries states into `inputs_embeds`", "resampler_carries_states"),
    ("Gradients reach the adapter", "adapter_carries_gradient"),
    ("Gradients reach the resampler", "resampler_carries_gradient"),
    ("Adapter learns", "adapter_learns"),
    ("Resampler learns", "resampler_learns"),
    ("Frozen models stay as they were", "models_unchanged_by_training"),
    ("Memory is as predicted", "pair_memory_as_predicted"),
)


def pairs_page(material: Material) -> str:
    """The page as text."""
    return "\n".join(_lines(material)).rstrip() + "\n"


def _lines(material: Material) -> Iterator[str]:
    pairs = [entry for entry in material.entries if isinstance(entry, PairSpec)]
    words = {pair.id: material.word(pair.id) for pair in pairs}
    yield "# Model compatibility validation"
    yield ""
    yield material.dated
    yield ""
    yield "## Summary"
    yield ""
    yield _summary(list(words.values()))
    yield ""
    yield "## Models (from the registry)"
    yield ""
    models = {spec.id: spec for pair in pairs for spec in (pair.source, pair.target)}
    yield from table(
        ("Model", "Parameters", "Hidden size", "Vocabulary", "Layers", "Heads"),
        map(_model_row, models.values()),
    )
    yield "## Pairs"
    yield ""
    for position, pair in enumerate(pairs, start=1):
        yield from _pair(material, position, pair, words[pair.id])
    yield from _requirements(material, pairs)


def _summary(words: list[Word]) -> str:
    if not words:
        return "The registry has no pairs."
    works = sum(word is Word.WORKS for word in words)
    tested = sum(word.is_tested for word in words)
    return f"{works} of {len(words)} pairs are compatible; {len(words) - tested} are not tested."


def _model_row(spec: ModelSpec) -> tuple[str, ...]:
    widths = spec.widths
    return (
        escaped(spec.id),
        parameters(spec.parameters),
        str(widths.hidden),
        f"{widths.vocabulary:,}",
        str(spec.blocks.count),
        "-" if widths.heads is None else str(widths.heads),
    )


def _pair(material: Material, position: int, pair: PairSpec, word: Word) -> Iterator[str]:
    source, target = pair.source, pair.target
    yield f"### Pair {position}: {escaped(source.id)} → {escaped(target.id)}"
    yield ""
    twin = " *(twins)*" if material.name(pair.id).endswith(TWIN) else ""
    yield f"{_GLYPHS[word]}{twin}"
    yield ""
    yield f"- Hidden sizes: {source.widths.hidden} → {target.widths.hidden}"
    yield f"- Vocabularies: {source.widths.vocabulary:,} → {target.widths.vocabulary:,}"
    measured = _measured(material, pair)
    for title, name in (("Special tokens", "special_tokens"), ("Chat template", "chat_template")):
        ends = [_said(measured, f"{role}_{name}") for role in ("source", "receiver")]
        if any(ends):
            yield f"- {title}: {ends[0] or '-'} → {ends[1] or '-'}"
    for check, what in _LEARNING.items():
        learned = ", ".join(filter(None, map(_learned, material.cases(pair.id, (check,)))))
        if learned:
            yield f"- {what}, loss in nats a token: {learned}"
    if isinstance(size := measured.get("pair_bytes"), int | float):
        yield f"- Memory of both, as loaded: {byte_size(size)}"
    for case in material.cases(pair.id):
        if is_decided(case) and case.outcome not in (Outcome.PASSED, Outcome.FIXED):
            yield f"- {_fault(case)}"
    yield ""


def _measured(material: Material, pair: PairSpec) -> Measures:
    """All that the checks of a pair measured; the first mode's word counts."""
    found: Measures = {}
    for case in material.cases(pair.id):
        for name, value in case.measures.items():
            found.setdefault(name, value)
    return found


def _said(measures: Measures, name: str) -> str:
    return escaped(measure_text(name, measures[name])) if name in measures else ""


def _learned(case: CaseRecord) -> str:
    before = case.measures.get("loss_before_nats")
    after = case.measures.get("loss_after_nats")
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return ""
    mode = case.case.rsplit("/", 3)[1]
    return f"{number(before)} → {number(after)} in {mode}"


def _fault(case: CaseRecord) -> str:
    mode = case.case.rsplit("/", 3)[1]
    if case.expectation is not None:
        why = f"{case.expectation.reason} (blame: {case.expectation.blame})"
    else:
        why = f"{case.failure.type}: {case.failure.message}" if case.failure else str(case.outcome)
    return f"{escaped(case.check)} in {mode}: {escaped(visible(why))}"


def _requirements(material: Material, pairs: list[PairSpec]) -> Iterator[str]:
    yield "## Technical validation"
    yield ""
    yield from table(
        ("Requirement", "Check", "Weights", "Passed"),
        (
            (title, escaped(check), weights, passed)
            for title, check in _REQUIREMENTS
            for weights, passed in _passed(material, pairs, check)
        ),
    )


def _passed(material: Material, pairs: list[PairSpec], check: str) -> Iterator[tuple[str, str]]:
    """By the kind of weights that speaks for a pair: cases that passed, of those that ran."""
    counts: dict[str, list[bool]] = {}
    for pair in pairs:
        for case in material.cases(pair.id, (check,)):
            if is_decided(case):
                passed = case.outcome in (Outcome.PASSED, Outcome.FIXED)
                counts.setdefault(str(material.kind(pair.id)), []).append(passed)
    for weights, ends in counts.items():
        yield weights, f"{sum(ends)} of {len(ends)}"
    if not counts:
        yield "-", "not tested"
