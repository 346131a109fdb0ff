"""From the records of one model to what a doctor says of it, step by step. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from compat.cli.steps import State, Step, step_of, steps_of
from compat.outcomes import Outcome
from compat.results.merge import crashed_cases, is_about_this_machine, merge
from compat.results.record import CaseRecord, JobEndRecord, PlannedRecord, Record
from compat.results.verdict import Verdict, Word, judge
from compat.targets.target import CaseId

INTERRUPTED = 2
"""pytest's exit status after Ctrl-C."""

WRONG = frozenset({Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT, Outcome.FIXED})


class Exit(IntEnum):
    """How `compat doctor MODEL` ends."""

    WORKS = 0
    WRONG_WITH_MODEL = 1
    USAGE = 2
    BLOCKED_HERE = 3
    SUITE_FAILED = 4
    INTERRUPTED = 130


@dataclass(frozen=True)
class Finding:
    """Something that is wrong or missing, in all the modes that show it alike."""

    what: str
    """A check, or the step that it was found in."""
    modes: tuple[str, ...]
    text: str
    """Untrusted: it may hold what a model said."""
    action: str
    """What to do: an instruction, or the command that shows it again."""
    state: State


@dataclass(frozen=True)
class Area:
    """The checks of an area in one mode."""

    passed: int = 0
    wrong: int = 0
    known: int = 0
    blocked: int = 0
    errors: int = 0
    not_applicable: int = 0

    @property
    def state(self) -> State:
        """The worst of them."""
        if self.wrong or self.errors:
            return State.WRONG
        if self.blocked:
            return State.BLOCKED
        return State.FINE if self.passed or self.known else State.NOTHING


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a model so far, or in the end."""

    steps: tuple[Step, ...]
    modes: tuple[str, ...]
    """Device and mode of every target, such as `nf4`, or `gpu nf4` where there are two devices."""
    areas: Mapping[str, Mapping[str, Area]]
    """Area -> mode -> its checks, in the order in which they ran."""
    findings: tuple[Finding, ...]
    verdicts: Mapping[str, Verdict]
    expected: Mapping[str, int]
    """Mode -> the cases that it will have in the end."""
    counted: Mapping[str, int]
    """Mode -> the cases that it has."""
    interrupted: bool
    errors: int
    """Cases in which the suite failed."""

    @property
    def done(self) -> int:
        """Cases that have come to an end."""
        return sum(self.counted.values())

    @property
    def planned(self) -> int:
        """Cases that there are."""
        return sum(self.expected.values())

    @property
    def unloadable(self) -> frozenset[str]:
        """Modes in which every case failed alike, because the model could not be loaded."""
        load = (one for one in self.findings if one.what == "load" and one.state is State.WRONG)
        return frozenset(mode for finding in load for mode in finding.modes)

    def complete(self, mode: str) -> bool:
        """Whether all cases of a mode have come to an end."""
        return self.counted[mode] >= self.expected.get(mode, 0)

    @property
    def exit(self) -> Exit:
        """How the command ends."""
        words = {verdict.word for verdict in self.verdicts.values()}
        if self.interrupted:
            return Exit.INTERRUPTED
        if words & {Word.BROKEN, Word.PARTIAL}:
            return Exit.WRONG_WITH_MODEL
        if self.errors:
            return Exit.SUITE_FAILED
        if any(verdict.passed for verdict in self.verdicts.values()):
            return Exit.WORKS
        blocked = Word.BLOCKED in words or any(step.state is State.BLOCKED for step in self.steps)
        return Exit.BLOCKED_HERE if blocked else Exit.SUITE_FAILED


def diagnose(
    records: Iterable[Record],
    areas: Mapping[str, str],
    *,
    ended: bool = True,
    interrupted: bool = False,
) -> Diagnosis:
    """Read the records of one run about one model.

    `areas` is where the catalogue has each check, in its order. `ended` is whether the run's
    process has: until then a case that has begun is running and not crashed. `interrupted` is
    whether it was stopped by Ctrl-C, where its own records can't tell.
    """
    merged = merge(records)
    stopped = interrupted or any(
        isinstance(record, JobEndRecord) and record.exit_status == INTERRUPTED for record in merged
    )
    cases = [record for record in merged if isinstance(record, CaseRecord)]
    if ended and not stopped:
        cases += crashed_cases(merged, areas)
    planned = _planned(merged)
    names = _names_of_modes([*planned, *(_target(case) for case in cases)])
    by_mode: dict[str, list[CaseRecord]] = {name: [] for name in names.values()}
    for case in cases:
        by_mode[names[_target(case)]].append(case)
    return Diagnosis(
        steps=tuple(steps_of(by_mode)),
        modes=tuple(by_mode),
        areas=_areas(by_mode, areas),
        findings=tuple(_findings(by_mode)),
        verdicts={
            name: judge(target, {case.check: case for case in by_mode[name]}, planned[target])
            for target, name in names.items()
            if target in planned
        },
        expected={names[target]: len(checks) for target, checks in planned.items()},
        counted={mode: len(of_mode) for mode, of_mode in by_mode.items()},
        interrupted=stopped,
        errors=sum(case.outcome is Outcome.ERROR for case in cases),
    )


def _planned(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    planned: dict[str, tuple[str, ...]] = {}
    for record in records:
        if isinstance(record, PlannedRecord):
            planned |= record.cases
    return planned


def _target(case: CaseRecord) -> str:
    return CaseId.parse(case.case).target


def _names_of_modes(targets: Iterable[str]) -> dict[str, str]:
    """Target -> what it is called where all are of one model."""
    found = {target: CaseId.parse(f"{target}/") for target in dict.fromkeys(targets)}
    devices = {at.device for at in found.values()}
    return {
        target: at.mode.value if len(devices) == 1 else f"{at.device} {at.mode}"
        for target, at in found.items()
    }


def _areas(
    by_mode: Mapping[str, Iterable[CaseRecord]], areas: Mapping[str, str]
) -> dict[str, dict[str, Area]]:
    counts: dict[str, dict[str, Counter[str]]] = {area: {} for area in areas.values()}
    for mode, cases in by_mode.items():
        for case in cases:
            if step_of(case) is None:
                counts.setdefault(case.area, {}).setdefault(mode, Counter())[_kind(case)] += 1
    return {
        area: {mode: Area(**count) for mode, count in modes.items()}
        for area, modes in counts.items()
        if modes
    }


def _kind(case: CaseRecord) -> str:
    match case.outcome:
        case Outcome.PASSED:
            return "passed"
        case Outcome.KNOWN_FAILURE:
            return "known"
        case Outcome.ERROR:
            return "errors"
    if case.outcome in WRONG:
        return "wrong"
    return "blocked" if is_about_this_machine(case) else "not_applicable"


def _findings(by_mode: Mapping[str, Iterable[CaseRecord]]) -> Iterator[Finding]:
    """Everything to be said, once, with all modes that say it."""
    found: dict[tuple[str, str], Finding] = {}
    for mode, cases in by_mode.items():
        for case in cases:
            finding = _finding(case, mode)
            if finding is None:
                continue
            # Figures differ from mode to mode; a check that fails is one finding all the same.
            key = (finding.what, "" if finding.state is State.WRONG else finding.text)
            before = found.setdefault(key, finding)
            modes = tuple(dict.fromkeys((*before.modes, mode)))
            found[key] = Finding(before.what, modes, before.text, before.action, before.state)
    order = (State.WRONG, State.BLOCKED, State.FINE)
    yield from sorted(found.values(), key=lambda finding: order.index(finding.state))


def _finding(case: CaseRecord, mode: str) -> Finding | None:
    kind, step = _kind(case), step_of(case)
    what = step or case.check
    if kind in ("wrong", "errors") and case.failure is not None:
        text = f"{case.failure.type}: {case.failure.message}"
        if case.outcome is Outcome.ERROR:
            text = f"the suite is at fault, not the model: {text}"
        return Finding(what, (mode,), text, case.reproduce, State.WRONG)
    if kind == "known" and case.expectation is not None:
        text = f"known failure, blame {case.expectation.blame}: {case.expectation.reason}"
        return Finding(what, (mode,), text, case.expectation.issue or "", State.FINE)
    if kind == "blocked" and case.reason is not None:
        return Finding(what, (mode,), case.reason.text, case.reason.action, State.BLOCKED)
    return None
