"""A gap in what runs had planned is named, and never passes for a result."""

from __future__ import annotations

from compat.outcomes import Outcome, ReasonCode, Stage
from compat.results.completeness import missing_jobs, unfinished_runs
from compat.results.record import (
    CaseStartRecord,
    JobEndRecord,
    PlannedRecord,
    Record,
    RunRecord,
)
from compat.targets import Mode
from tests.unit.report.records import (
    CHECKS,
    case_record,
    model_spec,
    passing,
    reason_record,
    run_records,
    target_of,
)

SPEC = model_spec("acme/anvil-1b")
FP32, NF4 = target_of(SPEC, Mode.FP32), target_of(SPEC, Mode.NF4)
EARLIER, LATER = "2026-11-19T10:00:00Z", "2026-11-21T10:00:00Z"


def planned(*results: Record) -> list[Record]:
    """Run r1 has planned every check of both targets, and has these results."""
    return [*run_records([FP32, NF4]), *results]


def test_nothing_is_missing_where_every_planned_case_has_a_result() -> None:
    assert missing_jobs(planned(*passing(FP32), *passing(NF4))) == ()


def test_a_job_without_any_result_is_named_with_its_run() -> None:
    (job,) = missing_jobs(planned(*passing(FP32)))
    assert (job.run, job.target, len(job.checks)) == ("r1", NF4.id, len(CHECKS))
    assert "none of its checks has a result" in str(job)


def test_a_job_that_broke_off_names_the_checks_that_are_missing() -> None:
    (job,) = missing_jobs(planned(*passing(FP32), *passing(NF4)[:-1]))
    assert job.checks == (CHECKS[-1].name,)
    assert CHECKS[-1].name in str(job)


def test_a_skip_is_a_result() -> None:
    skip = case_record(
        NF4,
        CHECKS[-1],
        Outcome.SKIPPED,
        stage=Stage.REQUIREMENTS,
        reason=reason_record(ReasonCode.NO_GPU),
    )
    assert missing_jobs(planned(*passing(FP32), *passing(NF4)[:-1], skip)) == ()


def test_a_case_that_its_process_died_in_has_its_result() -> None:
    start = CaseStartRecord(
        run="r1", execution="r1/gw0/9", case=f"{NF4.id}/{CHECKS[-1].name}", started=LATER
    )
    assert missing_jobs(planned(*passing(FP32), *passing(NF4)[:-1], start)) == ()


def test_a_later_run_fills_the_gap_and_an_earlier_one_does_not() -> None:
    gap = planned(*passing(FP32))
    assert missing_jobs([*gap, *passing(NF4, run="r2", started=LATER)]) == ()
    assert missing_jobs([*gap, *passing(NF4, run="r0", started=EARLIER)]) == missing_jobs(gap)


def test_a_job_of_a_plan_that_never_began_is_named_like_any_other() -> None:
    plan = PlannedRecord(run="plan, job 3", cases={NF4.id: ("recites",)})
    (job,) = missing_jobs([plan, *passing(FP32)])
    assert (job.run, job.target) == ("plan, job 3", NF4.id)
    assert missing_jobs([plan, *passing(NF4)]) == ()


def test_a_run_without_an_end_was_killed_or_is_going_on() -> None:
    records = [record for record in run_records([FP32]) if not isinstance(record, JobEndRecord)]
    (run,) = unfinished_runs(records)
    assert "has not written its end" in str(run)


def test_a_run_that_somebody_stopped_says_so() -> None:
    (run,) = unfinished_runs(run_records([FP32], exit_status=2))
    assert str(run) == "run r1 was interrupted"


def test_a_run_that_failed_has_ended() -> None:
    assert unfinished_runs(run_records([FP32], exit_status=1)) == ()


def test_a_worker_that_died_is_replaced_and_ends_no_run() -> None:
    begun = RunRecord(
        run="r1", worker="main", started=EARLIER, command=("pytest",), selection="all", suite="0"
    )
    end = JobEndRecord(run="r1", worker="main", finished=LATER, exit_status=1, cases=1, loads=1)
    start = CaseStartRecord(
        run="r1", worker="gw0", execution="r1/gw0/1", case=f"{NF4.id}/x", started=EARLIER
    )
    assert unfinished_runs([begun, start, end]) == ()
