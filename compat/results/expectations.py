"""What records say about the known failures of a registry: which rows go, and which are missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from compat.outcomes import Outcome
from compat.registry.pair import entries_of
from compat.registry.rows import ANY_MODEL, Row, all_rows
from compat.registry.spec import KnownFailure, Registry
from compat.results.apart import by_environment
from compat.results.flaky import flaky_cases
from compat.results.merge import crashed_cases, merge, newest_results
from compat.results.record import CaseRecord, FailureRecord, Record
from compat.results.signature import NUMBER, first_line
from compat.targets.target import BARE, CaseId

_WORTH_A_ROW = (Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT)
_LONGEST_MATCH = 80
_ANY_NUMBER = r"\d[\d.e+-]*"


@dataclass(frozen=True)
class GoneRow:
    """A row that nothing shows any more: all cases that it is about, as far as they ran, pass."""

    row: KnownFailure
    cases: tuple[str, ...]


@dataclass(frozen=True)
class NewFailure:
    """Cases that fail alike, with no row that expects it."""

    model: str
    where: tuple[tuple[str, str], ...]
    """Coordinate and pattern, as a row has them; those that would be `*` are left out."""
    outcome: Outcome
    raises: tuple[str, str] | None
    """Class and message pattern; None where nothing was raised."""
    cases: tuple[str, ...]


@dataclass(frozen=True)
class ByHand:
    """What only a person can decide."""

    what: str
    """A case id, or a row by its line."""
    why: str


@dataclass(frozen=True)
class Expectations:
    """All that a registry's known failures and the records disagree about."""

    gone: tuple[GoneRow, ...]
    new: tuple[NewFailure, ...]
    by_hand: tuple[ByHand, ...]


def expectations(records: Iterable[Record], registry: Registry) -> Expectations:
    """Hold the newest results against the rows of `registry`, which may have moved since."""
    merged = merge(records)
    executions = [record for record in merged if isinstance(record, CaseRecord)]
    executions += crashed_cases(merged)
    known = newest_results(executions)
    flaky = flaky_cases(executions)
    failures = [
        case
        for name, case in sorted(known.items())
        if case.outcome.fails_the_run and case.outcome is not Outcome.FIXED
    ]
    models = {entry.id for entry in entries_of(registry)}
    reasons = {case.case: _not_a_row(case, case.case in flaky, models) for case in failures}
    unexpected = [case for case in failures if not reasons[case.case]]
    gone, too_wide = _rows(executions, registry)
    by_hand = [ByHand(name, why) for name, why in reasons.items() if why]
    return Expectations(
        gone=gone,
        new=tuple(_new_failures(unexpected, tuple(known.values()))),
        by_hand=(*too_wide, *by_hand),
    )


def _not_a_row(case: CaseRecord, is_flaky: bool, models: set[str]) -> str:
    """Why no row can be proposed for a failure; empty where one can."""
    if case.outcome not in _WORTH_A_ROW:
        return "an error of the suite or the registry, which no row excuses"
    if is_flaky:
        return "passes and fails by turns, and a row is strict"
    if case.expectation is not None:
        return f"fails otherwise than the row at line {case.expectation.line} says"
    if CaseId.parse(case.case).model not in models:
        return "is about a model that the registry does not have"
    return ""


def _rows(
    executions: Sequence[CaseRecord], registry: Registry
) -> tuple[tuple[GoneRow, ...], tuple[ByHand, ...]]:
    """The rows that pass everywhere they ran, and those that pass in some places only.

    Each environment has its say: a row may be true on one machine alone.
    """
    owned: dict[str, list[Row]] = {}
    for model, failure in all_rows(registry):
        owned.setdefault(model, []).append(Row.of(failure))
    passing: dict[Row, set[str]] = {}
    failing: dict[Row, set[str]] = {}
    for known in by_environment(executions).values():
        for case in known.values():
            row = _row_of(case, owned)
            if row is not None:
                side = passing if case.outcome is Outcome.FIXED else failing
                side.setdefault(row, set()).add(case.case)
    gone = [
        GoneRow(row.failure, tuple(sorted(cases)))
        for row, cases in passing.items()
        if row not in failing
    ]
    too_wide = [
        ByHand(
            f"the row at line {row.failure.line} ({row.failure.check})",
            f"{len(passing[row])} of its cases pass and {len(failing[row])} fail: narrow it; "
            f"{min(passing[row])} passes",
        )
        for row in passing
        if row in failing
    ]
    return tuple(sorted(gone, key=lambda one: one.row.line)), tuple(too_wide)


def _row_of(case: CaseRecord, owned: dict[str, list[Row]]) -> Row | None:
    """The row that a case was held against: lines move, reason and blame do not."""
    expectation = case.expectation
    if expectation is None or case.outcome not in (Outcome.FIXED, Outcome.KNOWN_FAILURE):
        return None
    at = CaseId.parse(case.case)
    for owner in (at.model, ANY_MODEL):
        for row in owned.get(owner, ()):
            said = row.failure.blame, row.failure.reason
            same = said == (expectation.blame, expectation.reason)
            if same and row.matches(at, case.family):
                return row
    return None


def _new_failures(cases: Sequence[CaseRecord], known: Sequence[CaseRecord]) -> Iterator[NewFailure]:
    """As few rows as say nothing beyond what ran: one for all modes where all that ran fail."""
    ran: dict[tuple[str, ...], set[str]] = {}
    for case in known:
        if case.outcome is not Outcome.SKIPPED:
            at = CaseId.parse(case.case)
            ran.setdefault(_beside_mode(at), set()).add(at.mode)
    alike: dict[tuple[object, ...], list[CaseRecord]] = {}
    for case in cases:
        at = CaseId.parse(case.case)
        alike.setdefault((_beside_mode(at), case.outcome, _raises(case)), []).append(case)
    for group in alike.values():
        at = CaseId.parse(group[0].case)
        modes = {CaseId.parse(case.case).mode for case in group}
        if len(modes) > 1 and modes == ran[_beside_mode(at)]:
            yield _new_failure(group, mode=None)
        else:
            for case in group:
                yield _new_failure([case], mode=CaseId.parse(case.case).mode)


def _beside_mode(at: CaseId) -> tuple[str, ...]:
    return at.model, at.weights, at.device, at.wrapper, at.check


def _new_failure(group: Sequence[CaseRecord], mode: str | None) -> NewFailure:
    at = CaseId.parse(group[0].case)
    where = [("check", at.check), ("mode", mode), ("device", at.device), ("weights", at.weights)]
    if at.wrapper != BARE:
        where.append(("wrapper", at.wrapper))
    return NewFailure(
        model=at.model,
        where=tuple((name, str(pattern)) for name, pattern in where if pattern),
        outcome=group[0].outcome,
        raises=_raises(group[0]),
        cases=tuple(case.case for case in group),
    )


def _raises(case: CaseRecord) -> tuple[str, str] | None:
    if case.outcome is not Outcome.FAILED or case.failure is None:
        return None
    return case.failure.type, message_pattern(case.failure)


def message_pattern(failure: FailureRecord) -> str:
    """A regular expression that finds the message again, whatever its numbers are."""
    line = first_line(failure)[:_LONGEST_MATCH]
    parts = (re.escape(part).replace(r"\ ", " ") for part in NUMBER.split(line))
    return _ANY_NUMBER.join(parts)
