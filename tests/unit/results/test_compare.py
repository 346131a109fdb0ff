"""Two sets of records: what is worse, what is better, and what moved between them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.outcomes import Blame, Outcome, ReasonCode, Stage
from compat.results.compare import ChangeKind, Comparison, compare, of_environment
from compat.results.record import (
    CaseRecord,
    EnvRecord,
    ExpectationRecord,
    GpuRecord,
    Measures,
    Record,
)
from compat.targets import Mode
from tests.unit.report.records import (
    CHECKS,
    case_record,
    environment_record,
    model_spec,
    reason_record,
    target_of,
)

TARGET = target_of(model_spec("acme/anvil-1b"), Mode.FP32)
FAILURES = (Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT, Outcome.ERROR)


def result(outcome: Outcome, day: int = 1, **changes: object) -> CaseRecord:
    return case_record(
        TARGET,
        outcome=outcome,
        run=f"r{day}",
        started=f"2026-11-{day:02d}T10:00:00Z",
        **changes,
    )


def skip(code: ReasonCode, day: int = 1) -> CaseRecord:
    return result(Outcome.SKIPPED, day, stage=Stage.REQUIREMENTS, reason=reason_record(code))


def expected(day: int = 1) -> CaseRecord:
    row = ExpectationRecord(blame=Blame.UPSTREAM, reason="it is so")
    return result(Outcome.KNOWN_FAILURE, day, expectation=row)


def later(case: CaseRecord) -> CaseRecord:
    """The same on the day after everything else."""
    return case.model_copy(
        update={"run": "new", "execution": "new", "started": "2026-11-28T10:00:00Z"}
    )


def became(old: CaseRecord | None, new: CaseRecord | None) -> ChangeKind | None:
    """The kind of the only change there is; None where there is none."""
    after = [later(new)] if new else []
    changes = compare([old] if old else [], after, lambda case: False).changes
    return changes[0].kind if changes else None


@pytest.mark.parametrize("failure", FAILURES)
def test_what_was_in_order_and_fails_has_regressed(failure: Outcome) -> None:
    assert became(result(Outcome.PASSED), result(failure)) is ChangeKind.REGRESSED
    assert became(expected(), result(failure)) is ChangeKind.REGRESSED
    assert became(result(Outcome.FIXED), result(failure)) is ChangeKind.REGRESSED


@pytest.mark.parametrize("failure", FAILURES)
def test_what_failed_and_passes_is_fixed(failure: Outcome) -> None:
    assert became(result(failure), result(Outcome.PASSED)) is ChangeKind.FIXED
    assert became(expected(), result(Outcome.PASSED)) is ChangeKind.FIXED


def test_a_row_that_has_to_go_is_said_until_it_goes() -> None:
    for old in (expected(), result(Outcome.FIXED), None):
        assert became(old, result(Outcome.FIXED)) is ChangeKind.UNEXPECTED_PASS
    assert became(result(Outcome.FIXED), result(Outcome.PASSED)) is None


def test_a_failure_that_somebody_has_written_a_row_for_is_still_shown() -> None:
    assert became(result(Outcome.PASSED), expected()) is ChangeKind.EXPECTED_NOW
    assert became(result(Outcome.FAILED), expected()) is ChangeKind.EXPECTED_NOW


def test_a_result_for_the_first_time_is_new() -> None:
    for outcome in (Outcome.PASSED, Outcome.FAILED):
        assert became(None, result(outcome)) is ChangeKind.NEW
        assert became(skip(ReasonCode.NO_GPU), result(outcome)) is ChangeKind.NEW


def test_a_result_that_is_lost_to_a_skip_is_no_longer_running() -> None:
    for code in (ReasonCode.GATED, ReasonCode.NOT_APPLICABLE):
        assert became(result(Outcome.PASSED), skip(code)) is ChangeKind.NO_LONGER_RUNS


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_same_end_is_no_change(outcome: Outcome) -> None:
    kind = became(result(outcome), result(outcome, 2))
    assert kind is (ChangeKind.UNEXPECTED_PASS if outcome is Outcome.FIXED else None)


def test_what_is_not_offered_any_more_is_removed_and_what_was_not_run_is_not() -> None:
    old = [result(Outcome.PASSED)]
    assert became(old[0], None) is ChangeKind.REMOVED
    partial = compare(old, [], offered=lambda case: True)
    assert (partial.changes, partial.not_run) == ((), 1)


def test_passing_and_failing_by_turns_is_flaky_and_no_regression() -> None:
    old = [result(Outcome.PASSED, 1), result(Outcome.FAILED, 2), result(Outcome.PASSED, 3)]
    (change,) = compare(old, [result(Outcome.FAILED, 4)]).changes
    assert change.kind is ChangeKind.FLAKY
    assert not change.fails


def test_both_in_one_run_is_flaky() -> None:
    twice = [result(Outcome.FAILED, 2, number=1), result(Outcome.PASSED, 2, number=2)]
    assert compare([], twice).of(ChangeKind.FLAKY)


def test_a_single_change_is_not_flaky_and_another_environment_is_no_turn() -> None:
    assert not compare([result(Outcome.PASSED, 1)], [result(Outcome.FAILED, 2)]).of(
        ChangeKind.FLAKY
    )
    elsewhere = [
        result(Outcome.PASSED, 1),
        result(Outcome.FAILED, 2, environment="e2"),
        result(Outcome.PASSED, 3),
    ]
    assert not compare(elsewhere, [result(Outcome.PASSED, 4)]).of(ChangeKind.FLAKY)


NOTHING_WORSE = [
    (expected(), result(Outcome.PASSED)),
    (result(Outcome.PASSED), skip(ReasonCode.GATED)),
    (result(Outcome.FAILED), result(Outcome.FAILED)),
    (None, result(Outcome.PASSED)),
    (result(Outcome.PASSED), expected()),
]


@pytest.mark.parametrize(("old", "new"), NOTHING_WORSE)
def test_only_what_is_worse_fails_a_comparison(old: CaseRecord | None, new: CaseRecord) -> None:
    assert not compare([old] if old else [], [later(new)]).fails


def test_regressions_new_failures_and_rows_that_have_to_go_fail_it() -> None:
    assert compare([result(Outcome.PASSED)], [result(Outcome.FAILED, 2)]).fails
    assert compare([], [result(Outcome.FAILED)]).fails
    assert compare([expected()], [result(Outcome.FIXED, 2)]).fails


def test_what_still_fails_is_counted() -> None:
    assert compare([result(Outcome.FAILED)], [result(Outcome.CRASHED, 2)]).still_failing == 1


def environment(identifier: str, **changes: object) -> EnvRecord:
    return environment_record().model_copy(update={"id": identifier, **changes})


def test_a_regression_names_the_versions_that_moved() -> None:
    newer = environment("e2", packages={"torch": "2.14.0", "transformers": "5.23.0"})
    old: list[Record] = [environment("e1"), result(Outcome.PASSED)]
    new: list[Record] = [newer, result(Outcome.FAILED, 2, environment="e2")]
    comparison = compare(old, new)
    assert [str(moved) for moved in comparison.changes[0].moved] == [
        "bitsandbytes 0.50.2 → not there",
        "torch 2.13.0+cpu → 2.14.0",
    ]
    (moved,) = comparison.environments
    assert (moved.old, moved.new, moved.cases) == ("e1", "e2", 1)
    assert moved.moved == comparison.changes[0].moved


def test_other_weights_are_among_what_moved() -> None:
    old, new = result(Outcome.PASSED, revision="aaa"), result(Outcome.FAILED, revision="bbb")
    assert [str(moved) for moved in compare([old], [new]).changes[0].moved] == ["weights aaa → bbb"]


def measured(days: range, *values: float | str, name: str = "kl_nats") -> list[CaseRecord]:
    return [
        result(Outcome.PASSED, day, measures={name: value})
        for day, value in zip(days, values, strict=True)
    ]


def moved(old: list[CaseRecord], new: list[CaseRecord]) -> Comparison:
    return compare([environment("e1"), *old], [environment("e1"), *new])


def test_within_the_range_of_repeated_executions_a_measure_only_wobbles() -> None:
    old = measured(range(1, 5), 10.0, 12.0, 11.0, 10.5)
    assert moved(old, measured(range(9, 10), 13.5)).measures == ()
    (move,) = moved(old, measured(range(9, 10), 14.5)).measures
    assert (move.old, move.new, move.basis) == (10.5, 14.5, "noise of 4 executions")


def test_what_never_wobbled_moves_by_more_than_one_percent() -> None:
    old = measured(range(1, 4), 5.0, 5.0, 5.0)
    assert moved(old, measured(range(9, 10), 5.04)).measures == ()
    assert moved(old, measured(range(9, 10), 5.06)).measures


@pytest.mark.parametrize(
    ("name", "still", "beyond"),
    [
        ("weights_bytes", (1000, 1049), (1000, 1051)),
        ("load_seconds", (2.0, 4.9), (2.0, 5.1)),
        ("load_seconds", (0.1, 0.9), (0.4, 1.5)),
        ("tokens_per_second", (100.0, 390.0), (100.0, 410.0)),
        ("kl_nats", (1.0, 1.09), (1.0, 1.11)),
        ("kl_nats", (1e-5, 9e-5), (1e-5, 2e-3)),
    ],
)
def test_without_repeats_a_stated_factor_decides(
    name: str, still: tuple[float, float], beyond: tuple[float, float]
) -> None:
    for (old, new), moves in ((still, False), (beyond, True), (beyond[::-1], True)):
        before, after = measured(range(1, 2), old, name=name), measured(range(2, 3), new, name=name)
        found = moved(before, after).measures
        assert bool(found) is moves
        assert all(move.basis.startswith("stated factor") for move in found)


def test_times_wobble_more_than_a_few_executions_in_a_row_show() -> None:
    old = measured(range(1, 4), 100.0, 101.0, 102.0, name="tokens_per_second")
    assert moved(old, measured(range(9, 10), 60.0, name="tokens_per_second")).measures == ()
    assert moved(old, measured(range(9, 10), 40.0, name="tokens_per_second")).measures


def test_a_measure_that_moved_with_its_weights_says_so() -> None:
    old, new = (
        result(Outcome.PASSED, day, measures={"loss_nats": loss}, revision=revision)
        for day, loss, revision in ((1, 1.0, "aaa"), (2, 2.0, "bbb"))
    )
    (move,) = moved([old], [new]).measures
    assert move.other_weights


def test_times_of_other_hardware_are_not_compared_and_sizes_are() -> None:
    gpu = GpuRecord(name="H200", memory_gb=150.8, capability="9.0")
    measures: Measures = {"load_seconds": 10.0, "weights_bytes": 100}
    slower: Measures = {"load_seconds": 90.0, "weights_bytes": 200}
    old = [environment("e1"), result(Outcome.PASSED, measures=measures)]
    new = [
        environment("e2", gpus=(gpu,)),
        result(Outcome.PASSED, 2, environment="e2", measures=slower),
    ]
    assert [move.name for move in compare(old, new).measures] == ["weights_bytes"]


def test_what_depends_on_the_process_is_not_compared() -> None:
    old = measured(range(1, 2), 100, name="resident_bytes_after")
    assert moved(old, measured(range(2, 3), 900, name="resident_bytes_after")).measures == ()


def test_a_measure_in_words_that_is_another_word_has_moved() -> None:
    old, new = (
        measured(range(1, 2), "sdpa", name="attention"),
        measured(range(2, 3), "eager", name="attention"),
    )
    (move,) = moved(old, new).measures
    assert (move.old, move.new, move.factor) == ("sdpa", "eager", None)


def test_environments_of_the_same_records_can_be_compared() -> None:
    records: list[Record] = [
        environment("e1"),
        environment("e2", run="r2"),
        result(Outcome.PASSED),
        result(Outcome.FAILED, 2, environment="e2"),
    ]
    (change,) = compare(of_environment(records, "e1"), of_environment(records, "e2")).changes
    assert change.kind is ChangeKind.REGRESSED


ENDS = st.lists(
    st.tuples(st.sampled_from(list(Outcome)), st.integers(1, 20), st.sampled_from(CHECKS[:4])),
    max_size=12,
)


def records_of(ends: list[tuple[Outcome, int, object]]) -> list[Record]:
    return [
        case_record(TARGET, check, outcome, run=f"r{day}", started=f"2026-11-{day:02d}T10:00:00Z")  # type: ignore[arg-type]
        for outcome, day, check in ends
    ]


@given(ENDS, ENDS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_order_and_repetition_of_records_change_nothing(
    old: list[tuple[Outcome, int, object]], new: list[tuple[Outcome, int, object]], rng: object
) -> None:
    before, after = records_of(old), records_of(new)
    once = compare(before, after)
    again = [*before, *before], [*after, *after]
    for side in again:
        rng.shuffle(side)  # type: ignore[attr-defined]
    assert compare(*again) == once


@given(ENDS)
@settings(max_examples=60, deadline=None)
def test_nothing_differs_from_itself_but_what_is_flaky_or_has_to_go(
    ends: list[tuple[Outcome, int, object]],
) -> None:
    records = records_of(ends)
    kinds = {change.kind for change in compare(records, records).changes}
    assert kinds <= {ChangeKind.FLAKY, ChangeKind.UNEXPECTED_PASS}
