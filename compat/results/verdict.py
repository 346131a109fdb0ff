"""Verdicts: what a target comes to from its cases, and a model from its targets.

A verdict is about the whole catalogue, never about what a `-k` happened to select: a check that
did not run counts as not tested. Facts about this machine never count against a model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from compat.outcomes import Blame, Outcome, ReasonCode, Stage
from compat.results.merge import is_about_this_machine
from compat.results.record import CaseRecord
from compat.targets import Weights
from compat.targets.target import CaseId

CORE_AREAS = frozenset({"loading", "forward", "generation", "hooks"})
"""A target that fails here can't be used at all."""

_FAILURES = frozenset({Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT})
_PASSES = frozenset({Outcome.PASSED, Outcome.FIXED})
_COUNTS_AGAINST = frozenset({Blame.MODEL, Blame.UPSTREAM})
_STRENGTH = (Weights.HUB, Weights.LOCAL, Weights.TWIN, Weights.CONFIG)
_NAMED = 4


class Word(StrEnum):
    """What a target comes to."""

    WORKS = "works"
    PARTIAL = "partial"
    BROKEN = "broken"
    BLOCKED = "blocked here"
    NOT_TESTED = "not tested"

    @property
    def is_tested(self) -> bool:
        """Whether it says something about the model."""
        return self in (Word.WORKS, Word.PARTIAL, Word.BROKEN)


@dataclass(frozen=True)
class Verdict:
    """What a target comes to, which evidence that rests on, and why."""

    target: str
    word: Word
    why: str
    """One sentence: which cases decided."""
    deciding: tuple[str, ...]
    """Ids of the cases that decided; empty where all of them did."""
    passed: int
    applicable: int
    """Checks that mean something for the target, run or not."""

    @property
    def weights(self) -> Weights:
        """The evidence: a checkpoint of the hub, a folder, a twin, or the config alone."""
        return CaseId.parse(f"{self.target}/x").weights

    @property
    def label(self) -> str:
        """`works`, or `works (twin)`: evidence from a twin is always marked."""
        marked = self.weights is Weights.TWIN and self.word.is_tested
        return f"{self.word} (twin)" if marked else str(self.word)


def judge(target: str, cases: Mapping[str, CaseRecord], expected: Collection[str]) -> Verdict:
    """The verdict of `target`.

    `cases` maps a check's name to what is known of it; `expected` names every check of the
    catalogue that the target is to be held against, whether it ran or not.
    """
    sorted_cases = _Sorted.of(cases.values(), expected)
    word, why, deciding = sorted_cases.decide()
    return Verdict(
        target=target,
        word=word,
        why=why,
        deciding=tuple(case.case for case in deciding),
        passed=len(sorted_cases.passed),
        applicable=sorted_cases.applicable,
    )


@dataclass(frozen=True)
class _Sorted:
    """The cases of a target by what they mean for its verdict."""

    passed: tuple[CaseRecord, ...]
    fatal: tuple[CaseRecord, ...]
    failed: tuple[CaseRecord, ...]
    known: tuple[CaseRecord, ...]
    blocked: tuple[CaseRecord, ...]
    undecided: tuple[CaseRecord, ...]
    not_applicable: tuple[CaseRecord, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, cases: Iterable[CaseRecord], expected: Collection[str]) -> _Sorted:
        groups: dict[str, list[CaseRecord]] = {}
        ran: set[str] = set()
        for case in sorted(cases, key=lambda case: case.case):
            ran.add(case.check)
            groups.setdefault(_meaning(case), []).append(case)
        names = cls.__dataclass_fields__.keys() - {"missing"}
        return cls(
            missing=tuple(sorted(set(expected) - ran)),
            **{name: tuple(groups.get(name, ())) for name in names},
        )

    @property
    def applicable(self) -> int:
        ran = self.passed + self.fatal + self.failed + self.known + self.blocked + self.undecided
        return len(ran) + len(self.missing)

    def decide(self) -> tuple[Word, str, tuple[CaseRecord, ...]]:
        score = f"{len(self.passed)} of {self.applicable} checks passed"
        if self.fatal:
            return Word.BROKEN, f"{_named(self.fatal)}; {score}.", self.fatal
        if self.failed or self.known:
            deciding = self.failed + self.known
            return Word.PARTIAL, f"{_named(deciding)}; {score}.", deciding
        if self.applicable == 0:
            return Word.NOT_TESTED, "No check applies to this target.", ()
        if len(self.passed) == self.applicable:
            beside = f" ({len(self.not_applicable)} do not apply)" if self.not_applicable else ""
            return Word.WORKS, f"All {self.applicable} checks passed{beside}.", ()
        if len(self.blocked) == self.applicable:
            # A twin that nobody can make is no fact about this machine.
            nowhere = all(_has_no_twin(case) for case in self.blocked)
            word = Word.NOT_TESTED if nowhere else Word.BLOCKED
            return word, f"{_reasons(self.blocked)}.", self.blocked
        if len(self.missing) == self.applicable:
            return Word.NOT_TESTED, "None of its checks has run.", ()
        return Word.NOT_TESTED, f"{self._gaps()}; {score}.", self.blocked + self.undecided

    def _gaps(self) -> str:
        gaps = []
        if self.missing:
            gaps.append(f"{_listed(self.missing)} did not run")
        if self.blocked:
            gaps.append(f"{_reasons(self.blocked)} ({_listed([c.check for c in self.blocked])})")
        if self.undecided:
            gaps.append(_named(self.undecided))
        return "; ".join(gaps)


def _meaning(case: CaseRecord) -> str:
    if case.outcome in _PASSES:
        return "passed"
    if case.outcome in _FAILURES:
        fatal = case.area in CORE_AREAS or case.stage is Stage.LOAD
        return "fatal" if fatal else "failed"
    if case.outcome is Outcome.KNOWN_FAILURE:
        blame = None if case.expectation is None else case.expectation.blame
        if blame is not None and blame not in _COUNTS_AGAINST:
            return "undecided"
        # That it is known that nothing runs does not make anything run.
        return "fatal" if case.stage is Stage.LOAD else "known"
    if case.reason is not None and case.reason.code is ReasonCode.NOT_APPLICABLE:
        return "not_applicable"
    return "blocked" if is_about_this_machine(case) else "undecided"


def _has_no_twin(case: CaseRecord) -> bool:
    return case.reason is not None and case.reason.code is ReasonCode.NO_TWIN


def _named(cases: Collection[CaseRecord]) -> str:
    by_end: dict[str, list[CaseRecord]] = {}
    for case in cases:
        by_end.setdefault(_end(case), []).append(case)
    return "; ".join(_named_end(end, cases) for end, cases in by_end.items())


def _named_end(end: str, cases: Sequence[CaseRecord]) -> str:
    known = cases[0].outcome is Outcome.KNOWN_FAILURE
    if len(cases) > 1 and all(case.stage is Stage.LOAD for case in cases):
        return f"It does not load: {f'a {end}' if known else f'every check {end}'}"
    verb = "" if not known else " is a" if len(cases) == 1 else " are each a"
    return f"{_listed([case.check for case in cases])}{verb} {end}"


def _end(case: CaseRecord) -> str:
    match case.outcome:
        case Outcome.KNOWN_FAILURE:
            blame = "" if case.expectation is None else f" of {case.expectation.blame}"
            return f"known failure{blame}"
        case Outcome.TIMEOUT:
            return "timed out"
        case Outcome.ERROR:
            return "ended in an error of the suite"
        case Outcome.SKIPPED:
            return "was skipped without a reason"
        case outcome:
            return str(outcome)


def _reasons(cases: Collection[CaseRecord]) -> str:
    texts = dict.fromkeys(case.reason.text for case in cases if case.reason is not None)
    return "; ".join(list(texts)[:_NAMED])


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_NAMED])
    more = len(names) - _NAMED
    return shown if more <= 0 else f"{shown} and {more} more"


def leading(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The one that speaks for all of them: the strongest evidence among those that are tested.

    A checkpoint that could not be had here is no evidence, so a tested twin goes before it.
    """
    return min(
        verdicts,
        key=lambda verdict: (
            not verdict.word.is_tested,
            _STRENGTH.index(verdict.weights),
            verdict.word is Word.NOT_TESTED,
            verdict.target,
        ),
        default=None,
    )


def judge_model(verdicts: Collection[Verdict]) -> Word:
    """What a model comes to over its modes, from the leading verdict of each.

    It works where every tested mode works and is broken where every tested mode is; anything
    between is partial. Modes that were not tested here do not count against it.
    """
    tested = {verdict.word for verdict in verdicts if verdict.word.is_tested}
    if tested:
        return tested.pop() if len(tested) == 1 else Word.PARTIAL
    if any(verdict.word is Word.BLOCKED for verdict in verdicts):
        return Word.BLOCKED
    return Word.NOT_TESTED
