"""Opens a target: its areas, and what is not a plain pass with all that is known about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from compat.outcomes import Outcome
from compat.report.evidence import TargetEvidence
from compat.report.marks import NOT_RUN, case_word, verdict_mark
from compat.report.target_view import AreaView, CheckView, FindingView, SampleView, TargetView
from compat.report.text import measure_label, measure_text, measures_text, visible
from compat.results.merge import moment
from compat.results.record import CaseRecord, Measures
from compat.results.verdict import Verdict

SAMPLE_LIMIT = 400
MESSAGE_LIMIT = 800
TRACE_LIMIT = 2400
PLACEHOLDER = "CHECK"

TARGET_MEASURES = (
    "load_seconds",
    "tokens_per_second",
    "weights_bytes",
    "resident_bytes",
    "peak_rss_bytes",
)
"""Measures of the target as a whole, shown once; everything else stands beside its check."""

NOT_BY_CHECK = frozenset({*TARGET_MEASURES, "outline"})
"""An outline is drawn."""


def open_target(evidence: TargetEvidence, areas: Mapping[str, str]) -> TargetView:
    """The view of a target."""
    cases = tuple(evidence.cases.values())
    at = evidence.coordinates
    command = reproduce_template(cases)
    return TargetView(
        id=visible(evidence.id),
        anchor=evidence.anchor,
        weights=at.weights,
        device=at.device,
        mode=at.mode,
        wrapper=visible(at.wrapper),
        verdict=evidence.verdict,
        why=visible(evidence.verdict.why, MESSAGE_LIMIT),
        mark=verdict_mark(evidence.verdict.word),
        score=score_of(evidence.verdict),
        seconds=sum(case.seconds for case in cases),
        areas=tuple(_areas(evidence, areas)),
        findings=tuple(_findings(cases, command)),
        samples=_samples(cases),
        measures=_target_measures(cases),
        reproduce=visible(command),
        revision=_revision(cases),
        environments=tuple(dict.fromkeys(case.environment for case in cases if case.environment)),
        date=max((visible(case.started)[:10] for case in cases), default=""),
        runs=tuple(dict.fromkeys(visible(case.run, 80) for case in cases)),
        age="" if evidence.age is None else str(evidence.age),
        stale=evidence.age is not None and evidence.age.stale,
    )


def ends_of(cases: Collection[CaseRecord]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What some cases came to, and the classes of the reasons of those that were skipped."""
    outcomes = dict.fromkeys(str(case.outcome) for case in cases)
    classes = dict.fromkeys(str(case.reason.reason_class) for case in cases if case.reason)
    return tuple(outcomes), tuple(classes)


def score_of(verdict: Verdict) -> str:
    """Checks passed of those that apply; empty where none does."""
    return f"{verdict.passed}/{verdict.applicable}" if verdict.applicable else ""


def _revision(cases: Iterable[CaseRecord]) -> str:
    """The revision of the newest case that has one."""
    known = [(moment(case.started), case.revision) for case in cases if case.revision]
    return visible(max(known)[1], 80) if known else ""


def _areas(evidence: TargetEvidence, areas: Mapping[str, str]) -> Iterable[AreaView]:
    grouped: dict[str, list[CheckView]] = {}
    names = list(evidence.cases) + list(evidence.missing)
    positions = {name: position for position, name in enumerate(areas)}
    for name in sorted(names, key=lambda name: (positions.get(name, len(positions)), name)):
        area = visible(areas.get(name, "")) or "other"
        grouped.setdefault(area, []).append(_check(name, evidence.cases.get(name)))
    for area, checks in grouped.items():
        yield AreaView(area, tuple(checks))


def _check(name: str, case: CaseRecord | None) -> CheckView:
    if case is None:
        return CheckView(visible(name, 120), None, *NOT_RUN)
    own: Measures = {
        measure: value for measure, value in case.measures.items() if measure not in NOT_BY_CHECK
    }
    return CheckView(visible(name, 120), case.outcome, *case_word(case), measures_text(own))


def _findings(cases: Iterable[CaseRecord], command: str) -> Iterable[FindingView]:
    groups: dict[tuple[object, ...], list[CaseRecord]] = {}
    for case in cases:
        if case.outcome is not Outcome.PASSED:
            key = (case.outcome, case.stage, case.reason, case.expectation, case.failure)
            groups.setdefault(key, []).append(case)
    for group in sorted(groups.values(), key=lambda group: _weight(group[0])):
        yield _finding(group, command)


def _weight(case: CaseRecord) -> int:
    """What needs a reader's eye comes first."""
    return 0 if case.outcome.fails_the_run else 1 if case.outcome is not Outcome.SKIPPED else 2


def _finding(group: list[CaseRecord], command: str) -> FindingView:
    first = group[0]
    word, mark = case_word(first)
    reason, expectation, failure = first.reason, first.expectation, first.failure
    applies = mark != "not-applicable"
    derived = command.replace(PLACEHOLDER, first.check) if applies else ""
    return FindingView(
        word=word,
        mark=mark,
        checks=tuple(visible(case.check, 120) for case in group),
        stage=str(first.stage),
        cases=tuple(case.case for case in group),
        reason=visible(
            reason.text if reason else expectation.reason if expectation else "", MESSAGE_LIMIT
        ),
        code=str(reason.code) if reason else "",
        reason_class=str(reason.reason_class) if reason else "",
        action=visible(reason.action, MESSAGE_LIMIT) if reason and applies else "",
        blame=str(expectation.blame) if expectation else "",
        issue=visible(expectation.issue or "", 300) if expectation else "",
        line=expectation.line if expectation else 0,
        exception=visible(failure.type, 200) if failure else "",
        message=visible(failure.message, MESSAGE_LIMIT) if failure else "",
        trace=visible(failure.trace[-TRACE_LIMIT:]) if failure else "",
        reproduce=visible(first.reproduce or derived, 600) if applies else "",
        execution=visible(first.execution, 120),
    )


def _samples(cases: Iterable[CaseRecord]) -> tuple[SampleView, ...]:
    texts = {case.sample: case.check for case in cases if case.sample}
    return tuple(
        SampleView(visible(check, 120), visible(text, SAMPLE_LIMIT))
        for text, check in texts.items()
    )


def _target_measures(cases: Iterable[CaseRecord]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (measure_label(name), measure_text(name, value))
        for name in TARGET_MEASURES
        if (value := largest(cases, name)) is not None
    )


def largest(cases: Iterable[CaseRecord], name: str) -> float | None:
    """The largest value that any of `cases` recorded for a measure; None where none did."""
    values = [
        float(value)
        for case in cases
        if isinstance(value := case.measures.get(name), int | float) and not isinstance(value, bool)
    ]
    return max(values, default=None)


DEADLY = (Outcome.CRASHED, Outcome.TIMEOUT)


def reproduce_template(cases: Iterable[CaseRecord]) -> str:
    """The command of any case, with CHECK in place of its check; one that died has its own."""
    for case in sorted(cases, key=lambda one: one.outcome in DEADLY):
        # A folder that follows may be called like a check.
        before, found, after = case.reproduce.rpartition(f"-{case.check}]")
        if found:
            return f"{before}-{PLACEHOLDER}]{after}"
    return ""
