"""Records in the Common Test Report Format."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from compat.outcomes import Blame, Outcome, ReasonCode, Stage
from compat.report.ctrf import ctrf_json
from compat.results.record import CaseRecord, ExpectationRecord, FailureRecord, Record
from compat.targets import Mode
from tests.unit.report.records import (
    CHECKS,
    case_record,
    model_spec,
    passing,
    reason_record,
    registry_of,
    run_records,
    target_of,
    varied_records,
)

SPEC, OTHER = model_spec("acme/anvil-1b"), model_spec("acme/rocket-7b")
FP32, NF4 = target_of(SPEC, Mode.FP32), target_of(SPEC, Mode.NF4)
STATUSES = ("passed", "failed", "skipped", "pending", "other")

# What version 1.0 of the format asks for: required keys, and all that may be there.
REQUIRED = {
    "document": {"reportFormat", "specVersion", "results"},
    "results": {"tool", "summary", "tests"},
    "summary": {"tests", "start", "stop", *STATUSES},
    "test": {"name", "status", "duration"},
}
ALLOWED = {
    "document": REQUIRED["document"]
    | {"reportId", "timestamp", "generatedBy", "extra", "insights", "baseline"},
    "results": REQUIRED["results"] | {"environment", "extra"},
    "summary": REQUIRED["summary"] | {"flaky", "suites", "duration", "extra"},
    "test": REQUIRED["test"]
    | {"id", "start", "stop", "suite", "message", "trace", "rawStatus", "tags", "labels"}
    | {"flaky", "threadId", "filePath", "parameters", "retries", "extra"},
}


def document_of(*records: Record) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ctrf_json(records))
    return document


def only_test(*records: Record) -> dict[str, Any]:
    (test,) = document_of(*records)["results"]["tests"]
    return test  # type: ignore[no-any-return]


def conforms(part: dict[str, Any], kind: str) -> bool:
    return REQUIRED[kind] <= part.keys() <= ALLOWED[kind]


def test_a_document_has_what_the_format_asks_for_and_nothing_else() -> None:
    document = document_of(*varied_records(registry_of(SPEC, OTHER), seed=3))
    assert (document["reportFormat"], document["specVersion"]) == ("CTRF", "1.0.0")
    assert conforms(document, "document")
    assert conforms(document["results"], "results")
    assert conforms(document["results"]["summary"], "summary")
    for test in document["results"]["tests"]:
        assert conforms(test, "test")
        assert test["status"] in STATUSES
        assert isinstance(test["duration"], int)
        assert uuid.UUID(test["id"])
        assert all(isinstance(value, str) for value in test["labels"].values())


def test_the_summary_counts_the_tests() -> None:
    results = document_of(*varied_records(registry_of(SPEC, OTHER), seed=3))["results"]
    counts = {status: results["summary"][status] for status in STATUSES}
    assert sum(counts.values()) == results["summary"]["tests"] == len(results["tests"])
    for status, count in counts.items():
        assert count == sum(test["status"] == status for test in results["tests"])


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.PASSED, "passed"),
        (Outcome.FAILED, "failed"),
        (Outcome.FIXED, "failed"),
        (Outcome.CRASHED, "failed"),
        (Outcome.TIMEOUT, "failed"),
        (Outcome.ERROR, "failed"),
        (Outcome.KNOWN_FAILURE, "other"),
        (Outcome.SKIPPED, "skipped"),
    ],
)
def test_outcomes_have_their_status_and_stay_readable(outcome: Outcome, status: str) -> None:
    test = only_test(case_record(FP32, outcome=outcome))
    assert (test["status"], test["rawStatus"]) == (status, str(outcome))


def test_a_failure_has_its_message_and_trace() -> None:
    failure = FailureRecord(type="ValueError", message="off by one", trace="line 3")
    test = only_test(case_record(FP32, outcome=Outcome.FAILED, failure=failure))
    assert (test["message"], test["trace"]) == ("ValueError: off by one", "line 3")


def test_a_skip_says_why_and_what_to_do() -> None:
    reason = reason_record(ReasonCode.NO_GPU)
    skip = case_record(FP32, outcome=Outcome.SKIPPED, stage=Stage.REQUIREMENTS, reason=reason)
    assert only_test(skip)["message"] == "no-gpu: no-gpu here; do something about no-gpu"


def test_a_known_failure_says_who_is_to_blame() -> None:
    held = ExpectationRecord(blame=Blame.UPSTREAM, reason="it rounds")
    test = only_test(case_record(FP32, outcome=Outcome.KNOWN_FAILURE, expectation=held))
    assert (test["message"], test["extra"]["blame"]) == ("it rounds", "upstream")


def test_times_are_in_milliseconds() -> None:
    test = only_test(case_record(FP32, started="2026-11-20T10:00:00Z", seconds=0.25))
    assert (test["duration"], test["stop"] - test["start"]) == (250, 250)
    assert test["start"] == 1795168800000


def test_what_was_planned_and_never_ran_is_pending() -> None:
    results = document_of(*run_records([FP32, NF4]), *passing(FP32))["results"]
    assert results["summary"]["pending"] == len(CHECKS)
    assert results["summary"]["passed"] == len(CHECKS)


def test_a_case_has_one_test_with_its_newest_result_and_the_same_id_for_ever() -> None:
    old: CaseRecord = case_record(FP32, outcome=Outcome.FAILED, started="2026-11-01T10:00:00Z")
    new = case_record(FP32, number=1)
    test = only_test(old, new)
    assert test["status"] == "passed"
    assert test["id"] == only_test(old)["id"]


def test_the_same_records_give_the_same_document() -> None:
    records = varied_records(registry_of(SPEC, OTHER))
    assert ctrf_json(records) == ctrf_json(reversed(records))
