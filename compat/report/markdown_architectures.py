"""Supported architectures by family: loading, inference, quality, features, sample outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from compat.outcomes import Outcome
from compat.registry.spec import ModelClass, ModelSpec
from compat.report.markdown_table import escaped, report_link, table
from compat.report.material import Material, Status
from compat.report.text import visible
from compat.results.record import CaseRecord
from compat.results.verdict import Word

_CLASSES = {
    ModelClass.CAUSAL_LM: "Decoder-only",
    ModelClass.SEQ2SEQ: "Encoder-decoder",
    ModelClass.IMAGE_TEXT: "Image and text",
}
_WORDS = {
    Word.WORKS: "✅",
    Word.PARTIAL: "⚠️",
    Word.BROKEN: "❌",
    Word.BLOCKED: "⛔",
    Word.NOT_TESTED: "-",
}
_FEATURES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Text generation", ("generation",), ()),
    ("Hooks and steering", ("hooks",), ()),
    ("Head gates", ("gates",), ("gate",)),
    ("Pruning", ("gates",), ("pruned",)),
    ("Skip connections", ("gates",), ("skip",)),
    ("Head agency", ("gates",), ("heads", "utilisation")),
    ("Soft prompts", ("embeds",), ()),
    ("Adapters (LoRA)", ("training",), ("lora",)),
)
"""Title, areas, and words of which a check's name holds one; no words: every check."""
_WRITING = {"generation": "not recorded", "quality": "the beginning of each text"}
"""Areas whose samples a model wrote on from a prompt, and where that is if no measure says it."""
_SAMPLE_LIMIT = 400


def architectures_page(material: Material) -> str:
    """The page as text."""
    return "\n".join(_lines(material)).rstrip() + "\n"


def _lines(material: Material) -> Iterator[str]:
    families: dict[str, list[ModelSpec]] = {}
    for spec in material.registry.models:
        families.setdefault(spec.family, []).append(spec)
    yield "# Supported model architectures"
    yield ""
    yield material.dated
    yield ""
    yield (
        "Families, architectures and where blocks are come from the registry; everything else "
        "follows from the records."
    )
    yield ""
    yield "## Support status overview"
    yield ""
    yield from table(
        ("Family", "Architecture", "Models", "Status", "Blocks at"),
        (_overview(material, name, specs) for name, specs in families.items()),
    )
    yield "## Detailed status by family"
    yield ""
    for name, specs in families.items():
        yield from _family(material, name, specs)
    yield from _features(material, families)
    yield from _samples(material)


def _overview(material: Material, family: str, specs: list[ModelSpec]) -> tuple[str, ...]:
    classes = dict.fromkeys(_CLASSES[spec.model_class] for spec in specs)
    paths = dict.fromkeys(spec.blocks.path for spec in specs)
    return (
        f"**{escaped(family)}**",
        ", ".join(classes),
        ", ".join(escaped(spec.id) for spec in specs[:3]) + (" …" if len(specs) > 3 else ""),
        _status(material, specs),
        ", ".join(map(escaped, paths)),
    )


def _status(material: Material, specs: list[ModelSpec]) -> str:
    """The verdicts of a family's models, counted by the kind of evidence for them."""
    return "; ".join(
        " ".join(filter(None, (_counted(material.word(spec.id) for spec in some), mark)))
        for mark, some in _all_kinds(material, specs)
    )


def _all_kinds(material: Material, specs: list[ModelSpec]) -> Iterator[tuple[str, list[ModelSpec]]]:
    known = [(mark, some) for mark, some in material.by_kind(specs) if some]
    yield from known
    named = {spec.id for _, some in known for spec in some}
    if rest := [spec for spec in specs if spec.id not in named]:
        yield "", rest


def _counted(words: Iterable[Word]) -> str:
    counts = Counter(words)
    return ", ".join(f"{_WORDS[word]} {counts[word]} {word}" for word in Word if counts[word])


def _over_models(statuses: Iterable[Status]) -> str:
    """What a feature comes to in a family: over the models that were tested."""
    glyphs = {status.glyph for status in statuses if status.is_tested}
    if not glyphs:
        return "-"
    return glyphs.pop() if len(glyphs) == 1 else "⚠️"


def _family(material: Material, name: str, specs: list[ModelSpec]) -> Iterator[str]:
    yield f"### {escaped(name)}"
    yield ""
    yield from table(
        ("Model", "Loading", "Inference", "Quality", "Notes"),
        (_row(material, spec) for spec in specs),
    )
    issues = dict.fromkeys(issue for spec in specs for issue in _issues(material, spec))
    if issues:
        yield "**Known issues** (from the records):"
        yield ""
        yield from (f"- {issue}" for issue in issues)
        yield ""


def _row(material: Material, spec: ModelSpec) -> tuple[str, ...]:
    return (
        material.name(spec.id),
        str(material.status(spec.id, ("loading",))),
        str(material.status(spec.id, ("forward", "generation"))),
        _quality(material, spec.id),
        _note(material, spec),
    )


def _quality(material: Material, model: str) -> str:
    """The grade that a check has given; a twin has none."""
    for case in material.cases(model, ("writes_text",)):
        grade, perplexity = case.measures.get("quality"), case.measures.get("perplexity")
        if isinstance(grade, str):
            figure = f" (perplexity {perplexity:.3g})" if isinstance(perplexity, float) else ""
            return f"{escaped(grade)}{figure}"
    return "not tested"


def _note(material: Material, spec: ModelSpec) -> str:
    """How many checks passed, or why nothing ran."""
    targets = material.evidence.get(spec.id, ())
    if targets:
        passed = sum(target.verdict.passed for target in targets)
        applicable = sum(target.verdict.applicable for target in targets)
        return f"{passed:,} of {applicable:,} checks passed in {len(targets)} modes"
    whys = dict.fromkeys(
        visible(target.verdict.why, 200)
        for target in material.targets
        if target.coordinates.model == spec.id
    )
    return escaped(next(iter(whys), "No run so far has tested it."))


def _issues(material: Material, spec: ModelSpec) -> Iterator[str]:
    groups: dict[tuple[str, str], list[CaseRecord]] = {}
    for case in material.cases(spec.id):
        if case.expectation is not None and case.outcome is Outcome.KNOWN_FAILURE:
            row = case.expectation
            groups.setdefault((row.reason, row.issue or ""), []).append(case)
        elif case.failure is not None and case.outcome.fails_the_run:
            said = f"{case.check}: {case.failure.type}: {case.failure.message}"
            groups.setdefault((said, ""), []).append(case)
    for (reason, issue), cases in groups.items():
        held = cases[0].expectation
        blame = f" Blame: {held.blame}." if held is not None else ""
        link = f" {report_link(issue)}" if issue else ""
        name = escaped(spec.id.rpartition("/")[2])
        yield f"{name}: {escaped(visible(reason)).rstrip('.')} ({len(cases)} cases).{blame}{link}"


def _features(material: Material, families: dict[str, list[ModelSpec]]) -> Iterator[str]:
    yield "## Feature support"
    yield ""
    yield "Over the models of a family that were tested, in all modes that ran."
    yield ""
    yield from table(
        ("Family", *(title for title, _, _ in _FEATURES)),
        (
            (
                " ".join(filter(None, (escaped(name), mark))),
                *(_feature(material, some, areas, words) for _, areas, words in _FEATURES),
            )
            for name, specs in families.items()
            for mark, some in material.by_kind(specs)
        ),
    )


def _feature(
    material: Material, specs: list[ModelSpec], areas: tuple[str, ...], words: tuple[str, ...]
) -> str:
    return _over_models(
        material.status(spec.id, areas, _checks(material, spec.id, areas, words)) for spec in specs
    )


def _checks(
    material: Material, model: str, areas: tuple[str, ...], words: tuple[str, ...]
) -> frozenset[str]:
    """The checks that a feature is about; empty for every check of the areas."""
    if not words:
        return frozenset()
    named = {
        case.check
        for case in material.cases(model)
        if case.area in areas and any(word in case.check for word in words)
    }
    return frozenset(named or {"none of them"})


def _samples(material: Material) -> Iterator[str]:
    """One a model: what its first mode wrote, by prompt and family. All of it is untrusted."""
    prompts: dict[str, dict[str, dict[str, str]]] = {}
    for spec in material.registry.models:
        for case in material.cases(spec.id):
            if case.sample and case.area in _WRITING:
                prompt = str(case.measures.get("prompt") or _WRITING[case.area])
                texts = prompts.setdefault(prompt, {}).setdefault(spec.family, {})
                texts.setdefault(spec.id, case.sample)
    yield "## Sample outputs"
    yield ""
    if not prompts:
        yield "None."
        yield ""
    for prompt, families in prompts.items():
        yield f"**Prompt**: {escaped(visible(prompt))}"
        yield ""
        for family, samples in families.items():
            yield f"### {escaped(family)}"
            yield ""
            for model, text in samples.items():
                yield f"> {material.name(model)}: {escaped(visible(text), _SAMPLE_LIMIT)}"
                yield ">"
            yield ""
