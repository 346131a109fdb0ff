"""What went wrong and what did not run, over all models."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from compat.outcomes import Outcome
from compat.report.evidence import TargetEvidence
from compat.report.finding_view import FailureView, PlaceView, SkipView, UntestedView
from compat.report.marks import case_word
from compat.report.text import visible
from compat.report.view import ModelView
from compat.results.record import CaseRecord
from compat.results.verdict import Word
from compat.targets import Device

_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_EVIDENCE_LIMIT = 300

Rows = Mapping[tuple[str, str], ModelView]
"""Rows of the matrix by model and wrapper."""

Group = list[tuple[TargetEvidence, CaseRecord]]


def failures_of(targets: Sequence[TargetEvidence], rows: Rows) -> tuple[FailureView, ...]:
    """Cases that fail the run, by their exception; the most frequent first."""

    def key(case: CaseRecord) -> Hashable:
        if case.failure is None:
            return case.outcome, case.check
        # Sizes and values differ from model to model where the fault is the same.
        line = case.failure.message.strip().split("\n", 1)[0]
        return case.outcome, case.failure.type, _DIGITS.sub("#", line)

    return _grouped(targets, lambda case: case.outcome.fails_the_run, key, rows)


def known_failures_of(targets: Sequence[TargetEvidence], rows: Rows) -> tuple[FailureView, ...]:
    """Known failures, by the row of the registry that expected them."""

    def key(case: CaseRecord) -> Hashable:
        row = case.expectation
        return (row.blame, row.reason, row.issue) if row else case.check

    return _grouped(targets, lambda case: case.outcome is Outcome.KNOWN_FAILURE, key, rows)


def _grouped(
    targets: Sequence[TargetEvidence],
    wanted: Callable[[CaseRecord], bool],
    key: Callable[[CaseRecord], Hashable],
    rows: Rows,
) -> tuple[FailureView, ...]:
    groups: dict[Hashable, Group] = {}
    for target in targets:
        for case in target.cases.values():
            if wanted(case):
                # Evidence of a twin and of a checkpoint never share an entry.
                kind = target.coordinates.weights, key(case)
                groups.setdefault(kind, []).append((target, case))
    views = [_failure(group, rows) for group in groups.values()]
    return tuple(sorted(views, key=lambda view: (-view.cases, view.checks)))


def _failure(group: Group, rows: Rows) -> FailureView:
    case = group[0][1]
    word, mark = case_word(case)
    failure, row = case.failure, case.expectation
    evidence = f"{failure.type}: {failure.message}" if failure else ""
    return FailureView(
        word=word,
        mark=mark,
        checks=tuple(dict.fromkeys(visible(case.check, 120) for _, case in group)),
        places=_places((target for target, _ in group), rows),
        cases=len(group),
        evidence=visible(evidence, _EVIDENCE_LIMIT),
        weights=group[0][0].coordinates.weights,
        execution=visible(case.execution, 120),
        environments=tuple(dict.fromkeys(visible(target.environment, 40) for target, _ in group)),
        blame=str(row.blame) if row else "",
        reason=visible(row.reason) if row else "",
        issue=visible(row.issue or "", 300) if row else "",
        line=row.line if row else 0,
    )


def _places(targets: Iterable[TargetEvidence], rows: Rows) -> tuple[PlaceView, ...]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for target in targets:
        at = target.coordinates
        mode = str(at.mode) if at.device is Device.CPU else f"{at.device} {at.mode}"
        found.setdefault((at.model, at.wrapper), {}).setdefault(mode, target.anchor)
    return tuple(
        PlaceView(rows[key].name, rows[key].anchor, next(iter(modes.values())), tuple(modes))
        for key, modes in found.items()
    )


def skips_of(targets: Iterable[TargetEvidence]) -> tuple[SkipView, ...]:
    """Skips by reason code, with what to do about them; the most frequent first."""
    groups: dict[str, Group] = {}
    for target in targets:
        for case in target.cases.values():
            if case.outcome is Outcome.SKIPPED and case.reason is not None:
                groups.setdefault(case.reason.code, []).append((target, case))
    views = [_skip(code, group) for code, group in groups.items()]
    return tuple(sorted(views, key=lambda view: (-view.cases, view.code)))


def _skip(code: str, group: Group) -> SkipView:
    reasons = [case.reason for _, case in group if case.reason is not None]
    texts = Counter(visible(reason.text, 300) for reason in reasons)
    action, _ = Counter(visible(reason.action, 400) for reason in reasons).most_common(1)[0]
    return SkipView(
        code=code,
        reason_class=str(reasons[0].reason_class),
        action=action,
        cases=len(group),
        targets=len({target.id for target, _ in group}),
        texts=tuple(texts.most_common()),
    )


def untested_of(models: Iterable[ModelView]) -> tuple[UntestedView, ...]:
    """Models that no run has tested in any mode, by why."""
    groups: dict[tuple[Word, str], list[ModelView]] = {}
    for model in models:
        if not model.word.is_tested:
            # The reason of a target that was tried says more than that of one that was not.
            tried = [cell for cell in model.cells if cell.word is model.word]
            cell = max(tried or model.cells, key=lambda cell: bool(cell.target))
            groups.setdefault((model.word, cell.why), []).append(model)
    return tuple(
        UntestedView(word, group[0].mark, why, tuple((model.name, model.anchor) for model in group))
        for (word, why), group in groups.items()
    )
