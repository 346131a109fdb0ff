"""The words and glyphs of outcomes and verdicts."""

from __future__ import annotations

from compat.outcomes import Outcome, ReasonCode
from compat.results.record import CaseRecord
from compat.results.verdict import Word

NOT_RUN = ("not run", "not-tested")
NOT_APPLICABLE = ("does not apply", "not-applicable")

_VERDICTS = {
    Word.WORKS: "works",
    Word.PARTIAL: "partial",
    Word.BROKEN: "broken",
    Word.BLOCKED: "blocked",
    Word.NOT_TESTED: "not-tested",
}

_OUTCOMES = {
    Outcome.PASSED: ("passed", "works"),
    Outcome.FAILED: ("failed", "broken"),
    Outcome.KNOWN_FAILURE: ("known failure", "partial"),
    Outcome.FIXED: ("fixed: its row has to go", "fixed"),
    Outcome.CRASHED: ("crashed", "crashed"),
    Outcome.TIMEOUT: ("timed out", "crashed"),
    Outcome.ERROR: ("error of the suite", "error"),
    Outcome.SKIPPED: ("skipped", "blocked"),
}


def verdict_mark(word: Word) -> str:
    """The glyph of a verdict."""
    return _VERDICTS[word]


def outcome_word(outcome: Outcome) -> tuple[str, str]:
    """An outcome in words, and its glyph."""
    return _OUTCOMES[outcome]


def case_word(case: CaseRecord) -> tuple[str, str]:
    """What a case came to in words, and its glyph."""
    if case.reason is not None and case.reason.code is ReasonCode.NOT_APPLICABLE:
        return NOT_APPLICABLE
    return _OUTCOMES[case.outcome]
