"""What the models wrote on from one prompt, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from compat.report.evidence import TargetEvidence
from compat.report.section_view import FamilyVoicesView, PromptView, VoiceView
from compat.report.targets import SAMPLE_LIMIT
from compat.report.text import visible
from compat.report.view import ModelView, column_of
from compat.results.record import CaseRecord
from compat.targets import Weights

Rows = Mapping[tuple[str, str], ModelView]
"""Rows of the matrix by model and wrapper."""


@dataclass
class _Voice:
    execution: str
    models: dict[str, str] = field(default_factory=dict)
    modes: dict[str, None] = field(default_factory=dict)


def prompts_of(targets: Iterable[TargetEvidence], rows: Rows) -> tuple[PromptView, ...]:
    """Every prompt that models wrote on from; weights of different kinds stay apart."""
    order = dict.fromkeys(row.family for row in rows.values())
    found: dict[tuple[str, str, Weights], dict[str, dict[str, _Voice]]] = {}
    for target in targets:
        row = rows[target.coordinates.model, target.coordinates.wrapper]
        for case in target.cases.values():
            if case.sample and (prompt := case.measures.get("prompt")):
                key = (str(prompt), case.check, target.coordinates.weights)
                families = found.setdefault(key, {})
                _hear(families.setdefault(row.family, {}), target, row, case)
    return tuple(
        PromptView(
            prompt=visible(prompt, SAMPLE_LIMIT),
            check=visible(check, 120),
            weights=weights,
            families=tuple(_family(name, families[name]) for name in order if name in families),
        )
        for (prompt, check, weights), families in found.items()
    )


def _hear(
    voices: dict[str, _Voice], target: TargetEvidence, row: ModelView, case: CaseRecord
) -> None:
    voice = voices.setdefault(case.sample or "", _Voice(case.execution))
    name = f"{row.name} in {row.wrapper}" if row.wrapper else row.name
    voice.models.setdefault(name, target.anchor)
    voice.modes.setdefault(column_of(target.coordinates.device, target.coordinates.mode))


def _family(name: str, voices: Mapping[str, _Voice]) -> FamilyVoicesView:
    views = [
        VoiceView(
            text=visible(text, SAMPLE_LIMIT),
            models=tuple(voice.models.items()),
            modes=tuple(voice.modes),
            execution=visible(voice.execution, 120),
        )
        for text, voice in voices.items()
    ]
    return FamilyVoicesView(name, tuple(sorted(views, key=lambda view: -len(view.models))))
