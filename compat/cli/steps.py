"""What comes before a model's checks: getting it, its packages, its room, loading it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from compat.outcomes import ReasonClass, ReasonCode, Stage
from compat.report.text import byte_size, duration
from compat.results.record import CaseRecord

PACKAGES = frozenset(
    {ReasonCode.MISSING_PACKAGE, ReasonCode.VERSION_TOO_OLD, ReasonCode.VERSION_TOO_NEW}
)
BEFORE_CHECKS = frozenset({Stage.REQUIREMENTS, Stage.WEIGHTS, Stage.LOAD})


class State(StrEnum):
    """What a step of the examination has come to."""

    WAITING = "waiting"
    FINE = "fine"
    WRONG = "wrong"
    BLOCKED = "blocked here"
    NOTHING = "does not apply"


STEPS = ("access", "packages", "fit", "load")
"""What comes before the checks, in that order."""


@dataclass(frozen=True)
class Step:
    """One of `STEPS`: which modes have taken it."""

    name: str
    state: State
    taken: tuple[str, ...] = ()
    detail: str = ""
    """What there is to say of it beside that, such as seconds."""


def step_of(case: CaseRecord) -> str | None:
    """The step that a case did not get beyond; None where its check began."""
    if case.stage not in BEFORE_CHECKS:
        return None
    if case.reason is None:
        return "load"
    if case.reason.code in PACKAGES:
        return "packages"
    if case.reason.reason_class in (ReasonClass.ACCESS, ReasonClass.POLICY):
        return "access"
    return "access" if case.reason.code is ReasonCode.NO_TWIN else "fit"


def steps_of(by_mode: Mapping[str, Sequence[CaseRecord]]) -> Iterator[Step]:
    """How far each mode has come, judged by the first of its cases: the others share its load."""
    first = {mode: cases[0] for mode, cases in by_mode.items() if cases}
    ended = {mode: step_of(case) for mode, case in first.items()}
    at_work = tuple(ended)
    for name in STEPS:
        stopped = [mode for mode in at_work if ended[mode] == name]
        taken = tuple(mode for mode in at_work if mode not in stopped)
        if any(first[mode].reason is None for mode in stopped):
            state = State.WRONG
        elif taken:
            state = State.FINE
        else:
            state = State.BLOCKED if stopped else State.WAITING
        yield Step(name, state, taken, _detail(name, {mode: first[mode] for mode in taken}))
        at_work = taken


def _detail(step: str, first: Mapping[str, CaseRecord]) -> str:
    """What the first cases of the modes that have taken a step tell of it."""
    match step:
        case "access":
            revision = next((case.revision for case in first.values() if case.revision), None)
            return f"revision {revision}" if revision else ""
        case "packages":
            return "nothing is missing" if first else ""
        case "fit":
            return _room(first.values())
        case "load":
            taken = {mode: case.measures.get("load_seconds") for mode, case in first.items()}
            return ", ".join(
                f"{mode} in {duration(seconds)}" if isinstance(seconds, int | float) else mode
                for mode, seconds in taken.items()
            )
    return ""


def _room(cases: Iterable[CaseRecord]) -> str:
    """The most that any mode needs, beside what was free; or what the weights took."""
    largest = max(cases, key=lambda case: _bytes(case, "weights_bytes"), default=None)
    if largest is None:
        return ""
    for place, where in (("gpu", "GPU memory"), ("host", "main memory")):
        needed = _bytes(largest, f"needed_{place}_bytes")
        if needed:
            free = byte_size(_bytes(largest, f"free_{place}_bytes"))
            return f"needs at most {byte_size(needed)} of {where}, {free} were free"
    weights = _bytes(largest, "weights_bytes")
    return f"its weights take at most {byte_size(weights)}" if weights else ""


def _bytes(case: CaseRecord, name: str) -> float:
    value = case.measures.get(name)
    return value if isinstance(value, int | float) else 0
