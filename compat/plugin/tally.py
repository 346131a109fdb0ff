"""Counting what cases came to: by target for the progress line, over all for the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from compat.outcomes import Outcome, ReasonCode

GIGABYTE = 1e9
SHOWN_FAILURES = 2
FAILING = tuple(outcome for outcome in Outcome if outcome.fails_the_run)


def words(outcome: str) -> str:
    """An outcome in words: `known failure`."""
    return outcome.replace("_", " ")


@dataclass
class TargetTally:
    """The cases of one target, as they come in."""

    expected: int
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failing: list[str] = field(default_factory=list)
    seconds: float = 0.0
    resident: float = 0.0
    """The most resident memory seen after a case, in bytes."""

    @property
    def done(self) -> int:
        """How many of its cases have come in."""
        return self.outcomes.total()

    @property
    def complete(self) -> bool:
        """Whether all have."""
        return self.done >= self.expected

    @property
    def failed(self) -> bool:
        """Whether any of them fails the run."""
        return bool(self.failing)

    def add(self, record: Mapping[str, Any]) -> None:
        """Count a case, given as the plain values of its record."""
        outcome = record["outcome"]
        self.outcomes[outcome] += 1
        if outcome == Outcome.SKIPPED:
            self.reasons[record.get("reason", {}).get("code", "skipped")] += 1
        if Outcome(outcome).fails_the_run:
            self.failing.append(record["check"])
        self.seconds += record["seconds"]
        self.resident = max(self.resident, record.get("measures", {}).get("resident_bytes", 0))

    def __str__(self) -> str:
        parts = [f"{_cases(self.done)}: {', '.join(self._counts())}", f"{self.seconds:.1f} s"]
        if self.resident:
            parts.append(f"{self.resident / GIGABYTE:.1f} GB")
        return "  ".join(parts)

    def _counts(self) -> Iterator[str]:
        for outcome in Outcome:
            count = self.outcomes[outcome]
            if not count:
                continue
            if outcome is Outcome.SKIPPED:
                for code, number in self.reasons.items():
                    yield f"{number} {code.replace('-', ' ')}"
            else:
                yield f"{count} {words(outcome)}"
        if self.failing:
            shown = ", ".join(self.failing[:SHOWN_FAILURES])
            more = len(self.failing) - SHOWN_FAILURES
            yield f"namely {shown}" + (f" and {more} more" if more > 0 else "")


@dataclass
class RunTally:
    """All cases of a run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    skips: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(code, text, action) of a reason -> cases."""
    known: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(blame, reason) of a known failure -> cases."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Count a case, given as the plain values of its record."""
        outcome = record["outcome"]
        self.outcomes[outcome] += 1
        reason, expectation = record.get("reason"), record.get("expectation")
        if outcome == Outcome.SKIPPED and reason is not None:
            self.skips[reason["code"], reason["text"], reason["action"]] += 1
        if outcome == Outcome.KNOWN_FAILURE and expectation is not None:
            self.known[expectation["blame"], expectation["reason"]] += 1

    @property
    def failing(self) -> int:
        """How many cases fail the run."""
        return sum(self.outcomes[outcome] for outcome in FAILING)

    def lines(self) -> Iterator[str]:
        """What there is to say at the end of a run, line by line."""
        total = self.outcomes.total()
        counts = [f"{self.outcomes[o]} {words(o)}" for o in Outcome if self.outcomes[o]]
        if counts:
            yield f"{_cases(total)}: {', '.join(counts)}"
        for (blame, reason), count in self.known.most_common():
            yield f"known failure: {count} because {reason}; {blame} has to act"
        blocked = [
            (count, text, action)
            for (code, text, action), count in self.skips.most_common()
            if code != ReasonCode.NOT_APPLICABLE
        ]
        inapplicable = self.outcomes[Outcome.SKIPPED] - sum(count for count, *_ in blocked)
        if inapplicable:
            yield f"not applicable: {inapplicable}"
        for count, text, action in blocked:
            yield f"not run here: {count} because {text}; {action}"


@dataclass(frozen=True)
class Standing:
    """How far a run has come."""

    targets: int
    complete: int = 0
    failing: int = 0
    """Cases that fail the run."""
    began: float = 0.0
    """On the monotonic clock."""
    ends: float | None = None
    """When it will probably end, on the same clock; None where nothing is known of that."""


def _cases(count: int) -> str:
    return f"{count} case" if count == 1 else f"{count} cases"
