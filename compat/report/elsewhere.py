"""A target in one environment beside the same target in all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from compat.report.evidence import TargetEvidence
from compat.report.marks import case_word
from compat.report.target_view import DifferingView, ElsewhereView, TargetView
from compat.report.targets import open_target
from compat.report.text import visible
from compat.results.merge import is_about_this_machine


def open_everywhere(
    evidence: TargetEvidence, areas: Mapping[str, str], letters: Mapping[str, str]
) -> TargetView:
    """The view of a target, with what came of it in other environments behind it."""
    return replace(
        open_target(evidence, areas),
        letter=letters.get(evidence.environment, ""),
        elsewhere=tuple(_elsewhere(evidence, one, areas, letters) for one in evidence.elsewhere),
    )


def differing_checks(one: TargetEvidence, other: TargetEvidence) -> tuple[str, ...]:
    """The checks that say something about the model in both, and came to different ends."""
    return tuple(
        name
        for name, case in one.cases.items()
        if (found := other.cases.get(name)) is not None
        and not is_about_this_machine(case)
        and not is_about_this_machine(found)
        and case.outcome is not found.outcome
    )


def _elsewhere(
    here: TargetEvidence,
    there: TargetEvidence,
    areas: Mapping[str, str],
    letters: Mapping[str, str],
) -> ElsewhereView:
    target = open_target(there, areas)
    differing = differing_checks(here, there)
    names = {visible(name, 120) for name in differing}
    return ElsewhereView(
        target=target,
        environment=visible(there.environment, 40),
        letter=letters.get(there.environment, ""),
        compared=sum(name in there.cases for name in here.cases),
        differing=tuple(
            DifferingView(
                visible(name, 120), case_word(here.cases[name]), case_word(there.cases[name])
            )
            for name in differing
        ),
        findings=tuple(one for one in target.findings if names.intersection(one.checks)),
    )
