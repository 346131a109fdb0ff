"""Runs checks over a subject and says what each came to: no pytest, so a notebook has it too.

for check in load_catalogue():
    print(check.name, run_case(check, subject).outcome)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from compat.fit import Task
from compat.outcomes import CannotRun, NotApplicable, Outcome, Reason, Stage
from compat.outcomes.promise import promise_of
from compat.outcomes.stages import stage_of
from compat.outcomes.triage import is_out_of_memory, triage
from compat.registry.failures import explains
from compat.targets.capabilities import known_capabilities

if TYPE_CHECKING:
    from compat.checks.registry import Check
    from compat.registry.spec import KnownFailure
    from compat.results.record import Measures
    from compat.subject import ConfigSubject, PairSubject, Subject

    AnySubject = Subject | ConfigSubject | PairSubject

SUITE_ERRORS = frozenset(
    {"TwinNotTaughtError", "RegistryError", "UnknownCapabilityError", "WrongAutoClassError"}
)
"""Exceptions by which the suite says that it has failed, never the model; told by name, because
the modules that define them import torch."""

LEFT_A_TRACE = "NotPristineError"

LOAD_BOUNDARY = frozenset({Stage.REQUIREMENTS, Stage.WEIGHTS, Stage.LOAD})
"""The stages in which a listed exception of the outside world becomes a skip."""


@dataclass(frozen=True)
class CaseResult:
    """What a case came to. `note` is one line for the person who reads it."""

    outcome: Outcome
    stage: Stage
    note: str = ""
    reason: Reason | None = None
    expectation: KnownFailure | None = None
    exception: BaseException | None = None
    measures: Measures = field(default_factory=dict)
    sample: str | None = None
    seconds: float = 0.0


def run_case(
    check: Check, subject: AnySubject, expectation: KnownFailure | None = None
) -> CaseResult:
    """Run one check over a loaded subject; only Ctrl-C and its like get out.

    Where the check left a trace on the model, the result says so and the subject is spoilt: open
    the target anew.
    """
    started = time.perf_counter()
    exception: BaseException | None = None
    try:
        with watched(subject):
            run_check(check, subject)
    except Exception as error:  # whatever a check raises is its finding, to be judged below
        exception = error
    stage = stage_reached(exception, Stage.CHECK)
    return replace(
        conclude(exception, stage, expectation),
        measures=subject.take_measures(),
        sample=subject.take_sample(),
        seconds=time.perf_counter() - started,
    )


def run_check(check: Check, subject: AnySubject) -> None:
    """Call a check.

    Raises NotApplicable where it means nothing for such a target or the subject lacks what it
    needs, CannotRun where what it does would take more memory than was free.
    """
    __tracebackhide__ = True
    target = subject.target
    if check.kind is not target.kind or not check.applies(target.mode, target.weights):
        raise NotApplicable(f"{check.name} means nothing for {target.id}")
    known = known_capabilities(subject.spec, target)
    for name in sorted(check.needs):
        if known.get(name) is False:
            raise NotApplicable(f"{check.name} needs {name}, which {target.id} lacks")
    undecided = check.needs - (known.keys() - set(getattr(subject, "lacks", ())))
    if undecided:
        cast("Subject | PairSubject", subject).require(*sorted(undecided))
    if subject.fit is None:
        check.function(subject)
        return
    task = Task(check.memory)
    subject.fit.require(task)
    with subject.fit.promised(task):
        check.function(subject)


@contextmanager
def watched(subject: AnySubject, on_trace: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Raise NotPristineError on leaving where a trace is left on the model, and call `on_trace`.

    A failure inside goes first: a check that fails may leave a trace for that very reason, and its
    own finding is the one to read; `on_trace` is called all the same. A skip hides no trace.
    """
    __tracebackhide__ = True
    finding: Exception | None = None
    try:
        with subject.pristine():
            try:
                yield
            except Exception as error:  # kept until the model has been looked at, then raised
                finding = error
    except AssertionError:
        on_trace()
        if finding is None or isinstance(finding, CannotRun):
            raise
    if finding is not None:
        try:
            raise finding
        finally:
            del finding  # this frame is in its traceback: the two would keep the model alive


def conclude(
    exception: BaseException | None, stage: Stage, expectation: KnownFailure | None = None
) -> CaseResult:
    """Judge how a case ended: `exception` got out of it in `stage`, or nothing did.

    Skips come first, then the known failure that was expected, then what the suite itself got
    wrong; everything else is a failure of the model.
    """
    if exception is None:
        return _passed(expectation)
    reason = skip_reason(exception, stage)
    if reason is not None:
        return CaseResult(Outcome.SKIPPED, stage, str(reason), reason, exception=exception)
    if expectation is not None and _is_expected(exception, expectation):
        note = f"known failure, blame {expectation.blame}: {expectation.reason}"
        return CaseResult(
            Outcome.KNOWN_FAILURE, stage, note, expectation=expectation, exception=exception
        )
    if suite_is_wrong(exception, stage):
        return CaseResult(Outcome.ERROR, stage, _suite_note(exception), exception=exception)
    return CaseResult(
        Outcome.FAILED,
        stage,
        "" if expectation is None else _mismatch(exception, expectation),
        expectation=expectation,
        exception=exception,
    )


def conclude_death(
    what: str,
    expectation: KnownFailure | None = None,
    *,
    outcome: Outcome = Outcome.CRASHED,
    stage: Stage = Stage.CHECK,
) -> CaseResult:
    """Judge a case whose process died; `what` names how, such as `was killed by SIGSEGV`.

    `outcome` is `crashed`, `timeout` for one that was ended because it took too long, or `error`
    where the machine's memory gave out.
    """
    if expectation is not None and expectation.outcome is outcome:
        kind = "crash" if outcome is Outcome.CRASHED else outcome
        note = f"known {kind}, blame {expectation.blame}: {expectation.reason}"
        return CaseResult(Outcome.KNOWN_FAILURE, stage, note, expectation=expectation)
    return CaseResult(outcome, stage, what)


def skip_reason(exception: BaseException, stage: Stage) -> Reason | None:
    """Why the case did not run, where this is no finding about the model; else None.

    The outside world is triaged at the load boundary alone, but for memory that was found to
    suffice. Inside a check only NotApplicable, and CannotRun for what the check itself had to
    fetch, skip.
    """
    if isinstance(exception, CannotRun):
        return exception.reason
    if stage not in LOAD_BOUNDARY or _broke_promise(exception):
        return None
    return triage(exception)


def suite_is_wrong(exception: BaseException, stage: Stage) -> bool:
    """Whether the suite is to blame: its own errors, and memory that was predicted to suffice."""
    names = {parent.__name__ for parent in type(exception).__mro__}
    if names & SUITE_ERRORS:
        return True
    if stage in LOAD_BOUNDARY:
        return _broke_promise(exception)
    return is_out_of_memory(exception)


def stage_reached(exception: BaseException | None, default: Stage) -> Stage:
    """The stage in which a case ended: what the exception itself says, else `default`."""
    if exception is None:
        return default
    if LEFT_A_TRACE in {parent.__name__ for parent in type(exception).__mro__}:
        return Stage.PRISTINE
    return stage_of(exception, default)


def _passed(expectation: KnownFailure | None) -> CaseResult:
    if expectation is None:
        return CaseResult(Outcome.PASSED, Stage.CHECK)
    note = (
        f"it passes, and models.yaml:{expectation.line} says that it fails "
        f"({expectation.reason}): remove that row, or narrow it"
    )
    return CaseResult(Outcome.FIXED, Stage.CHECK, note, expectation=expectation)


def _is_expected(exception: BaseException, expectation: KnownFailure) -> bool:
    return expectation.outcome is Outcome.FAILED and explains(expectation, exception)


def _mismatch(exception: BaseException, expectation: KnownFailure) -> str:
    raises = expectation.raises
    expected = (
        f"{expectation.outcome}"
        if raises is None
        else f"{raises.type} with a message matching {raises.match!r}"
    )
    return (
        f"it fails otherwise than models.yaml:{expectation.line} says: "
        f"expected {expected}, got {type(exception).__name__}"
    )


def _suite_note(exception: BaseException) -> str:
    if not is_out_of_memory(exception):
        return f"the suite is at fault, not the model: {type(exception).__name__}"
    promise = promise_of(exception)
    if promise is None:
        return "out of memory in a check, without a prediction to hold against what was free"
    return f"out of memory although it was predicted to fit: {promise}"


def _broke_promise(exception: BaseException) -> bool:
    """Whether memory ran out that was predicted to suffice."""
    return promise_of(exception) is not None and is_out_of_memory(exception)
