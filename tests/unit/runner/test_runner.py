from __future__ import annotations

from contextlib import contextmanager

import pytest

from compat.checks.registry import Catalogue, check
from compat.outcomes import CannotRun, NotApplicable, Outcome, Reason, ReasonCode, Stage
from compat.outcomes.promise import Promise, promised
from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import KnownFailure, Raises
from compat.runner import conclude, conclude_death, run_case, watched
from compat.targets import Device, Kind, Mode, Target, Weights

ROW = KnownFailure(
    check="answers",
    raises=Raises(type="AssertionError", match=r"differ by \d"),
    blame="upstream",
    reason="a kernel is wrong",
    line=7,
)
CRASH = KnownFailure(check="answers", outcome="crashed", blame="upstream", reason="it reads past")


class NotPristineError(AssertionError):
    pass


class UnknownCapabilityError(LookupError):
    """Told by its name, as the real one is: that one's module imports torch."""


class TwinNotTaughtError(RuntimeError):
    pass


class FakeSubject:
    def __init__(self):
        self.spec = load_registry(default_registry_path()).by_id("gpt2")
        self.target = Target("g", "g", Weights.TWIN, Device.CPU, Mode.FP32)
        self.traces = []
        self.missing = frozenset({"attention"})
        self.fit = None

    def require(self, *names):
        for name in names:
            if name in self.missing:
                raise NotApplicable(f"the model has no {name}")

    @contextmanager
    def pristine(self):
        yield
        if self.traces:
            raise NotPristineError(str(self.traces))

    def take_measures(self):
        return {"tokens": 3}

    def take_sample(self):
        return "once"


def checked(function, **options):
    catalogue = Catalogue()
    function.__doc__ = "It does."
    check(area="forward", catalogue=catalogue, **options)(function)
    (only,) = catalogue
    return only


def test_a_check_that_returns_has_passed_with_its_notes():
    def answers(subject):
        pass

    result = run_case(checked(answers), FakeSubject())
    assert result.outcome is Outcome.PASSED
    assert (result.measures, result.sample) == ({"tokens": 3}, "once")
    assert result.seconds > 0


def test_a_check_that_raises_has_failed_with_its_own_exception():
    def answers(subject):
        raise ValueError("no")

    result = run_case(checked(answers), FakeSubject())
    assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.CHECK)
    assert isinstance(result.exception, ValueError)


def test_what_a_check_needs_and_only_the_subject_knows_is_asked_of_it():
    def answers(subject):
        raise AssertionError("never called")

    result = run_case(checked(answers, needs={"attention"}), FakeSubject())
    assert result.outcome is Outcome.SKIPPED
    assert result.reason.code is ReasonCode.NOT_APPLICABLE


def test_what_collection_has_judged_is_not_asked_again():
    def answers(subject):
        pass

    subject = FakeSubject()
    subject.missing = frozenset({"decoder-only"})
    assert run_case(checked(answers, needs={"decoder-only"}), subject).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "options",
    [
        {"kind": Kind.PAIR},
        {"modes": {Mode.NF4}},
        {"weights": {Weights.HUB}},
        {"needs": {"quantized"}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_check_that_means_nothing_for_the_target_is_not_called(options):
    def answers(subject):
        raise AssertionError("never called")

    result = run_case(checked(answers, **options), FakeSubject())
    assert result.reason.code is ReasonCode.NOT_APPLICABLE


def test_a_skip_hides_no_trace():
    def answers(subject):
        subject.traces.append("a hook")
        raise NotApplicable("the model has no attention")

    result = run_case(checked(answers), FakeSubject())
    assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.PRISTINE)


def test_what_a_wrapper_takes_away_is_asked_for_all_the_same():
    def answers(subject):
        pass

    subject = FakeSubject()
    subject.missing = subject.lacks = frozenset({"decoder-only"})
    result = run_case(checked(answers, needs={"decoder-only"}), subject)
    assert result.outcome is Outcome.SKIPPED


def test_a_check_that_leaves_a_trace_has_failed_at_that_stage():
    def answers(subject):
        subject.traces.append("a hook")

    result = run_case(checked(answers), FakeSubject())
    assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.PRISTINE)


def test_a_finding_goes_before_the_trace_that_it_left_and_both_are_seen():
    subject, seen = FakeSubject(), []

    def find_and_leave():
        with watched(subject, on_trace=lambda: seen.append("trace")):
            subject.traces.append("a hook")
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        find_and_leave()
    assert seen == ["trace"]


def test_ctrl_c_gets_out_of_a_check():
    def answers(subject):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_case(checked(answers), FakeSubject())


def test_a_known_failure_is_known_by_class_and_message():
    result = conclude(AssertionError("they differ by 3"), Stage.CHECK, ROW)
    assert result.outcome is Outcome.KNOWN_FAILURE
    assert result.expectation is ROW
    child = type("Child", (AssertionError,), {})("they differ by 3")
    assert conclude(child, Stage.LOAD, ROW).outcome is Outcome.KNOWN_FAILURE


@pytest.mark.parametrize("other", [AssertionError("else"), ValueError("they differ by 3")])
def test_a_known_failure_that_fails_otherwise_has_failed_and_says_so(other):
    result = conclude(other, Stage.CHECK, ROW)
    assert result.outcome is Outcome.FAILED
    assert "fails otherwise than models.yaml:7 says" in result.note


def test_a_known_failure_that_passes_is_fixed_and_names_the_row():
    result = conclude(None, Stage.CHECK, ROW)
    assert result.outcome is Outcome.FIXED
    assert "models.yaml:7" in result.note


def test_a_skip_goes_before_a_known_failure():
    reason = Reason(ReasonCode.NO_GPU, "no GPU", "get one")
    result = conclude(CannotRun(reason), Stage.REQUIREMENTS, ROW)
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, reason)


def test_the_outside_world_is_triaged_at_the_load_boundary_only():
    full = OSError(28, "No space left on device")
    assert conclude(full, Stage.WEIGHTS).reason.code is ReasonCode.DISK_FULL
    assert conclude(full, Stage.CHECK).outcome is Outcome.FAILED


def test_memory_is_a_skip_while_loading_and_the_suites_error_in_a_check():
    assert conclude(MemoryError(), Stage.LOAD).reason.code is ReasonCode.OUT_OF_MEMORY
    assert conclude(MemoryError(), Stage.CHECK).outcome is Outcome.ERROR


def test_memory_that_was_promised_is_the_suites_error_in_any_stage_with_both_figures():
    for stage in (Stage.LOAD, Stage.CHECK):
        error = MemoryError()
        with pytest.raises(MemoryError), promised(Promise("main memory", 3 * 10**9, 4 * 10**9)):
            raise error
        result = conclude(error, stage)
        assert result.outcome is Outcome.ERROR
        assert "3.00 GB of main memory were predicted to be enough" in result.note
        assert "4.00 GB were free before loading" in result.note


def test_a_promise_of_memory_says_nothing_of_other_failures():
    full = OSError(28, "No space left on device")
    with (
        pytest.raises(OSError, match="No space"),
        promised(Promise("main memory", 3 * 10**9, 4 * 10**9)),
    ):
        raise full
    assert conclude(full, Stage.LOAD).reason.code is ReasonCode.DISK_FULL


def test_a_twin_that_was_not_taught_is_the_suites_error():
    assert conclude(TwinNotTaughtError("loss 3"), Stage.WEIGHTS).outcome is Outcome.ERROR


def test_a_check_that_needs_what_is_no_capability_is_the_suites_error():
    assert conclude(UnknownCapabilityError("no such"), Stage.CHECK).outcome is Outcome.ERROR


def test_an_unlisted_exception_while_loading_is_a_failure():
    assert conclude(RuntimeError("odd"), Stage.LOAD).outcome is Outcome.FAILED


def test_a_crash_is_expected_only_by_a_row_that_says_crashed():
    assert conclude_death("killed by SIGSEGV", CRASH).outcome is Outcome.KNOWN_FAILURE
    assert conclude_death("killed by SIGSEGV", ROW).outcome is Outcome.CRASHED
    assert conclude_death("killed by SIGSEGV").note == "killed by SIGSEGV"


def test_a_row_that_says_crashed_expects_no_exception():
    assert conclude(RuntimeError("odd"), Stage.CHECK, CRASH).outcome is Outcome.FAILED
    assert conclude(None, Stage.CHECK, CRASH).outcome is Outcome.FIXED
