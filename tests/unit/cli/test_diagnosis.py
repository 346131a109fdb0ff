"""What the doctor makes of records."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from compat.cli.diagnosis import Exit, diagnose
from compat.cli.doctor_screen import conclusion, screen
from compat.cli.steps import State
from compat.outcomes import Blame, Outcome, ReasonCode, Stage
from compat.results.record import CaseStartRecord, ExpectationRecord, FailureRecord, Record
from compat.targets import Mode, Weights
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
FP32, NF4 = (target_of(SPEC, mode, Weights.LOCAL) for mode in (Mode.FP32, Mode.NF4))
AREAS = {check.name: check.area for check in CHECKS}
LAST = CHECKS[-1]
WRONG = FailureRecord(type="AssertionError", message="it is wrong by 0.5")


def examined(*records: Record, **options: bool):
    return diagnose([*run_records([FP32, NF4]), *records], AREAS, **options)


def stopped(target, code: ReasonCode, stage: Stage = Stage.REQUIREMENTS):
    return passing(target, outcome=Outcome.SKIPPED, stage=stage, reason=reason_record(code))


def states(diagnosis) -> dict[str, State]:
    return {step.name: step.state for step in diagnosis.steps}


def printed(diagnosis) -> str:
    out = StringIO()
    console = Console(file=out, width=200, highlight=False, color_system=None)
    console.print(screen(diagnosis))
    console.print(conclusion(diagnosis))
    return out.getvalue()


def failing(check, target=NF4, **changes: object):
    given = {"outcome": Outcome.FAILED, "failure": WRONG, "stage": Stage.CHECK} | changes
    return [case for case in passing(target) if case.check != check.name] + [
        case_record(target, check, **given)
    ]


def test_all_passed_works():
    found = examined(*passing(FP32), *passing(NF4))
    assert found.exit is Exit.WORKS
    assert set(states(found).values()) == {State.FINE}
    assert found.findings == ()
    assert found.modes == ("fp32", "nf4")
    assert "It works here. works: fp32, nf4" in printed(found)


def test_a_check_that_fails_in_two_modes_is_one_finding_with_a_command():
    other = FailureRecord(type="AssertionError", message="it is wrong by 0.7")
    found = examined(*failing(LAST, FP32), *failing(LAST, NF4, failure=other))
    assert found.exit is Exit.WRONG_WITH_MODEL
    (finding,) = found.findings
    assert finding.what == LAST.name
    assert finding.modes == ("fp32", "nf4")
    assert finding.text == "AssertionError: it is wrong by 0.5"
    assert finding.action.startswith("pytest ")
    assert found.areas[LAST.area]["nf4"].wrong == 1


@pytest.mark.parametrize(
    ("code", "step"),
    [
        (ReasonCode.GATED, "access"),
        (ReasonCode.NOT_DOWNLOADED, "access"),
        (ReasonCode.REMOTE_CODE, "access"),
        (ReasonCode.NO_TWIN, "access"),
        (ReasonCode.MISSING_PACKAGE, "packages"),
        (ReasonCode.VERSION_TOO_OLD, "packages"),
        (ReasonCode.DOES_NOT_FIT, "fit"),
        (ReasonCode.NO_GPU, "fit"),
        (ReasonCode.OUT_OF_MEMORY, "fit"),
    ],
)
def test_what_stands_in_the_way_is_found_at_its_step(code, step):
    found = examined(*stopped(FP32, code), *stopped(NF4, code))
    assert found.exit is Exit.BLOCKED_HERE
    names = list(states(found))
    at = names.index(step)
    assert [states(found)[name] for name in names[:at]] == [State.FINE] * at
    assert states(found)[step] is State.BLOCKED
    assert [states(found)[name] for name in names[at + 1 :]] == [State.WAITING] * (3 - at)
    (finding,) = found.findings
    assert (finding.what, finding.action) == (step, f"do something about {code}")
    assert found.areas == {}


def test_a_mode_that_is_blocked_does_not_keep_the_others_from_working():
    found = examined(*passing(FP32), *stopped(NF4, ReasonCode.DOES_NOT_FIT))
    assert found.exit is Exit.WORKS
    fit = next(step for step in found.steps if step.name == "fit")
    assert fit.taken == ("fp32",)
    assert "works: fp32; blocked here: nf4" in printed(found)


def test_a_model_that_does_not_load_is_wrong_at_that_step_once_and_in_no_area():
    broken = passing(FP32, outcome=Outcome.FAILED, stage=Stage.LOAD, failure=WRONG)
    found = examined(*broken, *passing(NF4))
    assert found.exit is Exit.WRONG_WITH_MODEL
    assert states(found)["load"] is State.WRONG
    (finding,) = found.findings
    assert (finding.what, finding.modes) == ("load", ("fp32",))
    assert all(list(modes) == ["nf4"] for modes in found.areas.values())


def test_a_known_failure_of_the_model_is_something_wrong_with_it_and_says_who_must_act():
    known = ExpectationRecord(blame=Blame.UPSTREAM, reason="a kernel is missing", issue="issue/1")
    found = examined(
        *passing(FP32), *failing(LAST, outcome=Outcome.KNOWN_FAILURE, expectation=known)
    )
    assert found.exit is Exit.WRONG_WITH_MODEL
    (finding,) = found.findings
    assert finding.text == "known failure, blame upstream: a kernel is missing"
    assert "What is known to fail" in printed(found)


def test_an_error_of_the_suite_is_not_the_models():
    found = examined(*passing(FP32), *failing(LAST, outcome=Outcome.ERROR))
    assert found.exit is Exit.SUITE_FAILED
    assert "the suite is at fault" in found.findings[0].text


def test_a_run_that_recorded_nothing_failed():
    assert diagnose((), AREAS).exit is Exit.SUITE_FAILED


def begun(check) -> CaseStartRecord:
    return CaseStartRecord(
        run="r1", execution="r1-x", case=f"{NF4.id}/{check.name}", started="2026-11-20T10:00:01Z"
    )


def test_what_is_running_has_not_crashed_and_what_never_ended_has():
    rest = [*passing(FP32), *(case for case in passing(NF4) if case.check != LAST.name)]
    assert examined(*rest, begun(LAST), ended=False).findings == ()
    crashed = examined(*rest, begun(LAST))
    assert crashed.exit is Exit.WRONG_WITH_MODEL
    assert crashed.findings[0].what == LAST.name
    assert examined(*rest, begun(LAST), interrupted=True).exit is Exit.INTERRUPTED


def test_what_a_model_says_is_shown_and_not_obeyed():
    hostile = FailureRecord(type="AssertionError", message="says \x1b[2J[red]\u202eno[/red]")
    text = printed(examined(*passing(FP32), *failing(LAST, failure=hostile)))
    assert "says \\x1b[2J[red]\\u202eno[/red]" in text
