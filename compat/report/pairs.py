"""Pairs of models: what has to fit, and how it went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from compat.registry.spec import ARROW, ModelSpec, Registry
from compat.report.evidence import TargetEvidence
from compat.report.text import measure_text, number, parameters, visible
from compat.report.view import EndView, ModelView, PairView
from compat.results.record import CaseRecord, Measures
from compat.targets import Kind

BEFORE, AFTER = "loss_before_nats", "loss_after_nats"


def pairs_of(
    rows: Mapping[tuple[str, str], ModelView],
    registry: Registry,
    targets: Mapping[str, TargetEvidence],
) -> tuple[PairView, ...]:
    """The pairs among `rows`, in their order.

    Sizes are the registry's; special tokens and templates are what the loaded tokenizers had.
    """
    specs = {spec.id: spec for spec in registry.models}
    return tuple(
        _pair(identifier, row, specs, targets)
        for (identifier, _), row in rows.items()
        if Kind.of(identifier) is Kind.PAIR
    )


def _pair(
    identifier: str,
    row: ModelView,
    specs: Mapping[str, ModelSpec],
    targets: Mapping[str, TargetEvidence],
) -> PairView:
    source, _, target = identifier.partition(ARROW)
    leads = [
        targets[cell.target]
        for cell in row.cells
        if cell.target and (not row.evidence or cell.evidence == row.evidence)
    ]
    measured = {
        name: value
        for lead in reversed(leads)  # the first mode's word is the last
        for case in lead.cases.values()
        for name, value in case.measures.items()
    }
    learned = "; ".join(_learned(leads[0].cases.values())) if leads else ""
    decisive = next((cell for cell in row.cells if cell.word is row.word), row.cells[0])
    return PairView(
        row=replace(row, facts=replace(row.facts, learned=learned)),
        source=_end(specs.get(source), "source", measured),
        target=_end(specs.get(target), "receiver", measured),
        why=decisive.why,
        learned=learned,
    )


def _end(spec: ModelSpec | None, role: str, measured: Measures) -> EndView:
    tokens, template = f"{role}_special_tokens", f"{role}_chat_template"
    return EndView(
        size=parameters(spec.parameters) if spec else "",
        hidden=number(spec.widths.hidden) if spec else "",
        vocabulary=number(spec.widths.vocabulary) if spec else "",
        tokens=measure_text(tokens, measured[tokens]) if tokens in measured else "",
        template=measure_text(template, measured[template]) if template in measured else "",
    )


def _learned(cases: Iterable[CaseRecord]) -> Iterator[str]:
    for case in cases:
        before, after = case.measures.get(BEFORE), case.measures.get(AFTER)
        if isinstance(before, int | float) and isinstance(after, int | float):
            yield f"{visible(case.check, 120)}: loss from {before:.2f} to {after:.2f} nats a token"
