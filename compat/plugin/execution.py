"""The life of one item: begun, watched while it runs, judged, ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from compat.outcomes import Outcome, Reason, ReasonCode, Stage
from compat.outcomes.triage import is_out_of_memory
from compat.plugin.case import Asked, asked_of, case_id
from compat.plugin.exhausted import Exhausted, give_back
from compat.plugin.foreseen import Foreseen, ShownBefore
from compat.plugin.session import SESSION
from compat.plugin.settled import SETTLED
from compat.plugin.showing import show
from compat.plugin.workers import FIRST_WORKER, bound_kernel_caches
from compat.runner import CaseResult, conclude, stage_reached, watched
from compat.targets.nodepart import load_of

if TYPE_CHECKING:
    from compat.plugin.session import CompatSession

SKIPS_ITSELF = "see what the test skips itself for; what has no meaning raises NotApplicable"


def begin_session(session: pytest.Session) -> None:
    """Write what this process is about to do; where no target is among it, write nothing."""
    items = [(item, asked_of(item)) for item in session.items]
    cases = [(item, asked) for item, asked in items if asked is not None]
    compat = session.config.stash[SESSION]
    settled = session.config.stash.get(SETTLED, None)
    if not (cases or settled):
        return
    recorder = compat.recorder
    if not compat.workerinput:
        recorder.begin_run()
    recorder.begin_worker()
    if compat.workerinput.get("workerid", FIRST_WORKER) == FIRST_WORKER:
        recorder.plan(cases)
        if settled:
            recorder.carry_over(settled)
    bound_kernel_caches()


def offer_last_words(config: pytest.Config) -> None:
    """In a worker: let the controller read what it will have said if it dies."""
    session = config.stash[SESSION]
    if session.workerinput:
        from compat.plugin import last_words

        last_words.offer(config, session.folder, session.workerinput["workerid"])


def end_session(config: pytest.Config, exit_status: int) -> None:
    """Free what is still loaded, end the records, and write the report if it was asked for."""
    session = config.stash[SESSION]
    session.holder.release()
    session.recorder.end_run(int(exit_status), session.holder.loads)
    if not session.workerinput:
        session.write_report()


def begin(item: pytest.Item, asked: Asked) -> None:
    """Before the target is loaded, so that a crash in loading has a name."""
    session = item.config.stash[SESSION]
    is_open = session.holder.has_open(asked.planned)
    session.recorder.begin(item, asked, Stage.CHECK if is_open else Stage.REQUIREMENTS)


@contextmanager
def watch(item: pytest.Item) -> Iterator[None]:
    """Around the test function: raise NotPristineError where it leaves a trace on the model.

    What is foreseen is raised as Foreseen, of which pytest formats no traceback.
    """
    __tracebackhide__ = True
    session = item.config.stash[SESSION]
    holder = session.holder
    assert holder.present is not None
    session.recorder.go_on(Stage.CHECK)
    try:
        with watched(holder.present, on_trace=holder.release):
            yield
    except Exception as error:
        if _is_foreseen(item, error):
            raise Foreseen(error) from None
        if is_out_of_memory(error):
            give_back(error)
            raise Exhausted(error) from None
        raise


def _is_foreseen(item: pytest.Item, error: Exception) -> bool:
    if item.config.getoption("xfail_tb"):
        return False
    result = _concluded(item, asked_of(item), error, Stage.CHECK)
    return result.outcome in (Outcome.SKIPPED, Outcome.KNOWN_FAILURE)


def _concluded(
    item: pytest.Item, asked: Asked | None, error: BaseException | None, stage: Stage
) -> CaseResult:
    """What a case came to that ended with `error` in `stage`."""
    assert asked is not None
    failures = item.config.stash[SESSION].failures
    expectation = failures.expected(asked.planned.spec, case_id(item, asked))
    return conclude(error, stage_reached(error, stage), expectation)


def judge(
    item: pytest.Item, asked: Asked, call: pytest.CallInfo[None], report: pytest.TestReport
) -> None:
    """After a phase: decide what the case came to, and have pytest show it."""
    session = item.config.stash[SESSION]
    exception = None if call.excinfo is None else call.excinfo.value
    if isinstance(exception, Foreseen | ShownBefore | Exhausted):
        exception = exception.finding
    elif exception is not None:
        session.holder.keep_until_release(exception)
    if report.when == "teardown":
        session.recorder.end(None if exception is None else conclude(exception, Stage.PRISTINE))
        return
    stage = Stage.CHECK
    if report.when == "setup":
        if exception is None:
            return
        if session.holder.is_load_failure(exception):
            # To pytest whatever fails in a fixture is an error of the test's scaffolding. That a
            # target can't be loaded is a finding, and that of every one of its cases.
            report.when = "call"
            stage = Stage.LOAD
    result = _judged_by_pytest(report, exception)
    if result is None:
        result = _concluded(item, asked, exception, stage)
        show(result, report, item, session.options.no_skip)
    measures, sample, revision = session.holder.take_notes()
    result = replace(result, measures=measures, sample=sample)
    report.compat = session.recorder.conclude(result, revision)  # type: ignore[attr-defined]


def let_go(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """After a target's last case free it, but for a load that the next target shares.

    Raises WeightsChangedError where the target's weights have changed.
    """
    own = asked_of(item)
    following = None if nextitem is None else asked_of(nextitem)
    if own is None or (following is not None and own.planned == following.planned):
        return
    # Where something else comes between, this was the last: cases of a load are never apart.
    shared = nextitem is not None and following is not None and _share_a_load(item, nextitem)
    release(item.config.stash[SESSION], keep_load=shared)


def _share_a_load(item: pytest.Item, other: pytest.Item) -> bool:
    return load_of(item.nodeid) == load_of(other.nodeid)


def _judged_by_pytest(
    report: pytest.TestReport, exception: BaseException | None
) -> CaseResult | None:
    """What a person's own test says by pytest's means: skip and xfail. None where it does not."""
    if hasattr(report, "wasxfail"):
        outcome = Outcome.KNOWN_FAILURE if report.skipped else Outcome.FIXED
        return CaseResult(outcome, Stage.CHECK, report.wasxfail, exception=exception)
    if isinstance(exception, pytest.skip.Exception):
        reason = Reason(ReasonCode.NOT_RUN, str(exception), SKIPS_ITSELF)
        return CaseResult(Outcome.SKIPPED, Stage.CHECK, str(exception), reason)
    return None


def release(session: CompatSession, *, keep_load: bool = False) -> None:
    """At the end of a target. Raises WeightsChangedError where its weights have changed."""
    try:
        session.holder.verify()
    except BaseException:  # Ctrl-C too: tidied up, and raised on
        keep_load = False
        raise
    finally:
        session.holder.release(keep_load=keep_load)
