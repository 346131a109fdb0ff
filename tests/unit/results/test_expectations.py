"""What records say about the rows of a registry."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.outcomes import Blame, Outcome
from compat.registry.spec import KnownFailure, Raises, Registry
from compat.results.expectations import expectations, message_pattern
from compat.results.record import CaseRecord, ExpectationRecord, FailureRecord
from compat.targets import Mode
from tests.unit.report.records import CHECKS, case_record, model_spec, registry_of, target_of

ROW = KnownFailure(
    check=CHECKS[0].name,
    mode="[in]*",
    raises=Raises(type="ValueError", match="off"),
    blame=Blame.UPSTREAM,
    reason="it rounds",
    line=7,
)
SPEC = model_spec("acme/anvil-1b", known_failures=[ROW])
REGISTRY: Registry = registry_of(SPEC)
FP32, INT8, NF4 = (target_of(SPEC, mode) for mode in (Mode.FP32, Mode.INT8, Mode.NF4))
HELD = ExpectationRecord(blame=Blame.UPSTREAM, reason="it rounds", line=99)


def held(target: object, outcome: Outcome, **changes: object) -> CaseRecord:
    """A case that was held against the row, which stood on another line then."""
    return case_record(target, CHECKS[0], outcome, expectation=HELD, **changes)  # type: ignore[arg-type]


def failed(
    target: object, message: str = "off by 0.5", number: int = 1, **changes: object
) -> CaseRecord:
    failure = FailureRecord(type="ValueError", message=message)
    return case_record(target, CHECKS[number], Outcome.FAILED, failure=failure, **changes)  # type: ignore[arg-type]


def passed(target: object, number: int = 1) -> CaseRecord:
    return case_record(target, CHECKS[number])  # type: ignore[arg-type]


def test_a_row_goes_when_all_its_cases_that_ran_pass() -> None:
    (gone,) = expectations([held(INT8, Outcome.FIXED), held(NF4, Outcome.FIXED)], REGISTRY).gone
    assert gone.row == ROW
    assert len(gone.cases) == 2


def test_a_row_that_some_of_its_cases_still_show_is_narrowed_by_a_person() -> None:
    found = expectations([held(INT8, Outcome.FIXED), held(NF4, Outcome.KNOWN_FAILURE)], REGISTRY)
    assert found.gone == ()
    (by_hand,) = found.by_hand
    assert "line 7" in by_hand.what
    assert "1 of its cases pass and 1 fail" in by_hand.why


def test_a_row_that_holds_on_one_machine_only_is_not_gone() -> None:
    elsewhere = held(
        INT8, Outcome.KNOWN_FAILURE, environment="e0", started="2026-11-01T10:00:00Z", number=1
    )
    found = expectations([held(INT8, Outcome.FIXED), elsewhere], REGISTRY)
    assert found.gone == ()
    assert found.by_hand


def test_a_row_that_somebody_has_removed_already_is_no_matter() -> None:
    bare = registry_of(model_spec("acme/anvil-1b"))
    found = expectations([held(INT8, Outcome.FIXED)], bare)
    assert (found.gone, found.new, found.by_hand) == ((), (), ())


def test_the_newest_result_decides() -> None:
    old = held(INT8, Outcome.FIXED, started="2026-11-01T10:00:00Z", number=1)
    new = held(INT8, Outcome.KNOWN_FAILURE, started="2026-11-02T10:00:00Z", number=2)
    assert expectations([old, new], REGISTRY).gone == ()


def test_a_failure_that_nothing_expects_needs_a_row_of_its_own() -> None:
    (new,) = expectations([failed(FP32), passed(NF4)], REGISTRY).new
    assert new.model == "acme/anvil-1b"
    assert dict(new.where) == {
        "check": CHECKS[1].name,
        "mode": "fp32",
        "device": "cpu",
        "weights": "twin",
    }
    assert new.raises is not None
    assert new.raises[0] == "ValueError"


def test_one_row_is_enough_where_every_mode_that_ran_fails_alike() -> None:
    (new,) = expectations([failed(FP32, "off by 1"), failed(NF4, "off by 2")], REGISTRY).new
    assert "mode" not in dict(new.where)
    assert len(new.cases) == 2


def test_modes_that_fail_otherwise_have_rows_of_their_own() -> None:
    new = expectations([failed(FP32, "off by 1"), failed(NF4, "no such head")], REGISTRY).new
    assert [dict(one.where)["mode"] for one in new] == ["fp32", "nf4"]


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.TIMEOUT])
def test_a_crash_is_expected_as_a_crash(outcome: Outcome) -> None:
    (new,) = expectations([case_record(FP32, CHECKS[1], outcome)], REGISTRY).new
    assert (new.outcome, new.raises) == (outcome, None)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (case_record(FP32, CHECKS[1], Outcome.ERROR), "error of the suite"),
        (failed(FP32, expectation=HELD), "otherwise than the row at line 99"),
        (failed(target_of(model_spec("acme/elm"), Mode.FP32)), "does not have"),
    ],
)
def test_what_no_row_can_say_is_left_to_a_person(case: CaseRecord, why: str) -> None:
    found = expectations([case], REGISTRY)
    assert found.new == ()
    assert why in found.by_hand[0].why


def test_a_flaky_case_gets_no_row() -> None:
    twice = [failed(FP32), passed(FP32).model_copy(update={"execution": "r1-again"})]
    later = failed(FP32, started="2026-11-21T10:00:00Z").model_copy(update={"execution": "r1-3"})
    found = expectations([*twice, later], REGISTRY)
    assert found.new == ()
    assert "by turns" in found.by_hand[0].why


@given(st.text())
def test_a_pattern_finds_its_own_message_again(message: str) -> None:
    failure = FailureRecord(type="ValueError", message=message)
    assert re.search(message_pattern(failure), message) is not None


def test_a_pattern_finds_the_message_with_other_numbers_too() -> None:
    pattern = message_pattern(
        FailureRecord(type="ValueError", message="(off by 0.52e-3 of 12) [x]")
    )
    assert re.search(pattern, "(off by 7 of 1024) [x]")
    assert not re.search(pattern, "(off by 7 of 1024) [y]")
