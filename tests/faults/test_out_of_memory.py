"""Memory that runs out, for real: what it comes to, and that nothing of it is left behind."""

from __future__ import annotations

import re
import sys

import pytest

from tests.faults.conftest import Run, Starve

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="no other system limits the private memory of a process"
)

WEIGHTS = 282_000_000
"""Of the checkpoint in fp32; half of it in bf16, and in its file."""
ENOUGH = WEIGHTS + 500_000_000
TOO_LITTLE = WEIGHTS + 80_000_000
"""For fp32 beside the file, of which torch maps a private copy; enough for bf16 and the file."""
LEFT_BEHIND = 60_000_000
"""What libraries and malloc keep after a first target, whatever it came to."""
FIGURES = (
    r"out of memory although it was predicted to fit: \d\.\d\d GB of main memory were predicted to "
    r"be enough, \d+\.\d\d GB were free before loading"
)


@pytest.fixture(scope="module")
def in_checks(starve: Starve) -> Run:
    """Both modes load, and two checks of each run out of memory."""
    return starve("fp32,bf16", ALLOWANCE=ENOUGH, GPU=1)


@pytest.fixture(scope="module")
def in_loading(starve: Starve) -> Run:
    """Of two modes one does not load."""
    return starve("fp32,bf16", ALLOWANCE=TOO_LITTLE)


def test_a_check_that_runs_out_of_memory_is_that_case_and_the_target_goes_on(in_checks):
    assert in_checks.status == pytest.ExitCode.TESTS_FAILED, in_checks.output
    assert in_checks.outcomes == {
        f"{mode}/{check}": "error" if check.startswith("takes") else "passed"
        for mode in ("fp32", "bf16")
        for check in ("answers", "takes_all", "takes_all_of_a_gpu", "answers_again")
    }
    assert in_checks.loads == 2


def test_what_a_case_has_taken_is_given_back_before_the_next_one(in_checks):
    for mode in ("fp32", "bf16"):
        cases = [case for case in in_checks.cases if f"/{mode}/" in case["case"]]
        resident = [case["measures"]["resident_bytes"] for case in cases]
        assert max(resident) - resident[0] < LEFT_BEHIND, resident


def test_the_next_target_starts_as_the_first_one_did(in_checks):
    first, second = (case["measures"]["resident_bytes_before"] for case in in_checks.first_cases())
    assert second - first < LEFT_BEHIND


def test_a_target_that_does_not_load_is_given_up_in_all_its_cases_after_one_try(in_loading):
    assert in_loading.status == pytest.ExitCode.TESTS_FAILED, in_loading.output
    outcomes = {case["outcome"] for case in in_loading.cases if "/fp32/" in case["case"]}
    assert outcomes == {"error"}
    assert in_loading.loads == 2


def test_the_target_after_it_loads_and_starts_from_nothing(in_loading):
    assert in_loading.outcomes["bf16/answers"] == "passed"
    assert in_loading.outcomes["bf16/answers_again"] == "passed"
    failed, loaded = (case["measures"] for case in in_loading.first_cases())
    assert loaded["resident_bytes_before"] - failed["resident_bytes"] < LEFT_BEHIND
    assert loaded["resident_bytes"] - failed["resident_bytes"] > WEIGHTS / 3


@pytest.mark.parametrize("run", ["in_checks", "in_loading"])
def test_the_record_and_the_terminal_show_both_figures_and_the_lines(run, request):
    found: Run = request.getfixturevalue(run)
    error = next(case for case in found.cases if case["outcome"] == "error")
    assert re.search(FIGURES, error["failure"]["message"])
    assert ", line " in error["failure"]["trace"]
    assert re.search(FIGURES, found.output)
    assert "INTERNALERROR" not in found.output


def test_what_is_predicted_not_to_fit_is_skipped_with_both_figures(starve):
    run = starve("fp32,bf16", ADDRESSES=150_000_000)
    assert run.status == pytest.ExitCode.OK, run.output
    assert set(run.outcomes.values()) == {"skipped"}
    reason = run.cases[0]["reason"]
    assert reason["code"] == "does-not-fit"
    figures = re.search(r"needs \S+ GB of main memory, ([\d.]+) MB are free", reason["text"])
    assert figures
    assert 0 < float(figures[1]) <= 150
    assert "no mode fits here" in reason["action"]
    assert run.loads == 2
