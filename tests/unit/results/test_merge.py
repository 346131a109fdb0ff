from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from compat.outcomes import Outcome, ReasonCode, Stage
from compat.results.merge import (
    crashed_cases,
    interrupted_starts,
    merge,
    newest_results,
    write_merged,
)
from compat.results.read import read_records
from compat.results.record import CaseRecord, CaseStartRecord, JobEndRecord, Record, dump_record
from compat.targets import Mode
from tests.unit.report.records import (
    CHECKS,
    case_record,
    model_spec,
    reason_record,
    run_records,
    target_of,
)

TARGET = target_of(model_spec("acme/anvil-1b"), Mode.FP32)


def started(
    number: int, check: str = "recites", run: str = "r1", stage: Stage = Stage.CHECK
) -> CaseStartRecord:
    return CaseStartRecord(
        run=run,
        worker="gw0",
        execution=f"{run}/gw0/{number}",
        case=f"{TARGET.id}/{check}",
        started=f"2026-11-20T10:00:{number:02d}Z",
        stage=stage,
    )


def ended(number: int, outcome: Outcome = Outcome.PASSED, run: str = "r1") -> CaseRecord:
    start = started(number, run=run)
    case = case_record(TARGET, CHECKS[number % len(CHECKS)], outcome, run=run)
    return case.model_copy(update={"execution": start.execution, "started": start.started})


def job_end(exit_status: int, run: str = "r1") -> JobEndRecord:
    return JobEndRecord(
        run=run, finished="2026-11-20T11:00:00Z", exit_status=exit_status, cases=1, loads=1
    )


NUMBERS = st.integers(0, 12)
RECORDS = st.lists(
    st.one_of(
        st.builds(started, NUMBERS, stage=st.sampled_from(Stage)),
        # Two results for one execution: a damaged copy, which must not break the properties.
        st.builds(ended, NUMBERS, st.sampled_from([Outcome.PASSED, Outcome.FAILED])),
        st.builds(job_end, st.integers(0, 2)),
        st.sampled_from(run_records([TARGET])),
    ),
    max_size=25,
)


@given(RECORDS, RECORDS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_merging_is_a_set_union(left: list[Record], right: list[Record], random: object) -> None:
    merged = merge(left, right)
    shuffled = [*left, *right]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merge(shuffled) == merged
    assert merge(right, left) == merged
    assert merge(merged) == merged
    assert merge(merge(left), merge(right)) == merged
    assert merge(merged, left) == merged


@given(RECORDS)
@settings(max_examples=40, deadline=None)
def test_merging_loses_no_execution(records: list[Record]) -> None:
    def executions(some: object) -> set[str]:
        return {one.execution for one in some if hasattr(one, "execution")}  # type: ignore[attr-defined]

    assert executions(merge(records)) == executions(records)


@given(RECORDS)
@settings(max_examples=40, deadline=None)
def test_what_is_newest_does_not_depend_on_the_order(records: list[Record]) -> None:
    cases = [record for record in records if isinstance(record, CaseRecord)]
    assert newest_results(cases) == newest_results(reversed(cases))


def test_a_merged_file_reads_back_as_it_was(tmp_path: Path) -> None:
    records = merge(run_records([TARGET]), [ended(1), started(2)])
    write_merged(records, tmp_path / "results.jsonl")
    assert read_records(tmp_path / "results.jsonl").records == records


def test_the_newest_result_wins() -> None:
    old = case_record(TARGET, outcome=Outcome.FAILED, started="2026-11-19T10:00:00Z")
    new = case_record(TARGET, outcome=Outcome.PASSED, started="2026-11-20T10:00:00+00:00")
    assert newest_results([new, old]) == {new.case: new}


def test_times_are_compared_as_times_and_not_as_text() -> None:
    earlier = case_record(TARGET, outcome=Outcome.FAILED, started="2026-11-20T11:00:00+02:00")
    later = case_record(TARGET, outcome=Outcome.PASSED, started="2026-11-20T10:00:00Z")
    assert newest_results([earlier, later])[later.case] is later


def skipped(code: ReasonCode, started: str) -> CaseRecord:
    return case_record(
        TARGET,
        outcome=Outcome.SKIPPED,
        stage=Stage.REQUIREMENTS,
        reason=reason_record(code),
        started=started,
    )


def test_a_skip_for_this_machine_never_hides_an_older_result() -> None:
    result = case_record(TARGET, outcome=Outcome.FAILED, started="2026-11-01T10:00:00Z")
    for code in (ReasonCode.NO_GPU, ReasonCode.GATED, ReasonCode.REMOTE_CODE):
        skip = skipped(code, "2026-11-20T10:00:00Z")
        assert newest_results([result, skip])[result.case] is result


def test_that_a_check_does_not_apply_is_about_the_model() -> None:
    result = case_record(TARGET, outcome=Outcome.FAILED, started="2026-11-01T10:00:00Z")
    skip = skipped(ReasonCode.NOT_APPLICABLE, "2026-11-20T10:00:00Z")
    assert newest_results([result, skip])[result.case] is skip


def test_without_any_result_the_newest_skip_stands() -> None:
    old = skipped(ReasonCode.NO_GPU, "2026-11-01T10:00:00Z")
    new = skipped(ReasonCode.DOES_NOT_FIT, "2026-11-20T10:00:00Z")
    assert newest_results([new, old])[new.case] is new


def test_a_start_that_nothing_follows_is_a_crash() -> None:
    (crash,) = crashed_cases([*run_records([TARGET]), ended(1), started(2)], {"recites": "forward"})
    assert crash.outcome is Outcome.CRASHED
    assert crash.stage is Stage.CHECK
    assert crash.execution == started(2).execution
    assert crash.area == "forward"


def test_a_crash_is_where_its_process_had_come_to() -> None:
    stages = (Stage.REQUIREMENTS, Stage.WEIGHTS, Stage.LOAD)
    records = merge(started(2, stage=stage) for stage in reversed(stages))
    (crash,) = crashed_cases(records)
    assert crash.stage is Stage.LOAD


def test_a_case_that_another_worker_has_run_since_is_no_crash() -> None:
    lost, again = started(2), ended(4).model_copy(update={"case": started(2).case})
    assert crashed_cases([lost, again]) == ()


def test_a_start_with_its_case_is_none() -> None:
    assert crashed_cases([started(1), ended(1)]) == ()


def test_a_crash_that_the_controller_recorded_is_not_counted_twice() -> None:
    lost = started(2)
    named = ended(3, Outcome.CRASHED).model_copy(update={"case": lost.case})
    assert crashed_cases([lost, named]) == ()


def test_a_case_under_way_at_ctrl_c_is_no_crash() -> None:
    records = [started(2), job_end(exit_status=2)]
    assert crashed_cases(records) == ()
    assert interrupted_starts(records) == (started(2),)


def test_somebody_stopping_another_run_explains_nothing() -> None:
    records = [started(2), job_end(exit_status=2, run="r2")]
    assert len(crashed_cases(records)) == 1
    assert interrupted_starts(records) == ()


def test_the_merged_file_keeps_the_start_and_not_the_guess(tmp_path: Path) -> None:
    write_merged([started(2)], tmp_path / "results.jsonl")
    assert (tmp_path / "results.jsonl").read_text() == dump_record(started(2)) + "\n"
