"""The quality of what checkpoints write; twins are taught one text and are not graded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compat.report.evidence import TargetEvidence
from compat.report.section_view import QualityView
from compat.report.targets import SAMPLE_LIMIT
from compat.report.text import measure_label, measure_text, visible
from compat.report.view import ModelView, column_of

GRADE = "quality"
"""The measure that holds the grade: Good, Fair or Poor."""

_NOT_FIGURES = frozenset({GRADE, "resident_bytes", "prompt"})


def quality_of(
    targets: Iterable[TargetEvidence], rows: Mapping[tuple[str, str], ModelView]
) -> tuple[QualityView, ...]:
    """Every graded target, with the figures that the grade comes from."""
    return tuple(
        QualityView(
            model=rows[target.coordinates.model, target.coordinates.wrapper].name,
            anchor=target.anchor,
            mode=column_of(target.coordinates.device, target.coordinates.mode),
            weights=target.coordinates.weights,
            grade=visible(str(case.measures[GRADE]), 20),
            figures=tuple(
                (measure_label(name), measure_text(name, value))
                for name, value in case.measures.items()
                if name not in _NOT_FIGURES
            ),
            sample=visible(case.sample or "", SAMPLE_LIMIT),
            execution=visible(case.execution, 120),
        )
        for target in targets
        for case in target.cases.values()
        if GRADE in case.measures
    )
