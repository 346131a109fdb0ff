"""What pytest offers to stop a run early and to go on with it, when processes die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from compat.outcomes import Outcome, Stage
from compat.results.merge import crashed_cases
from compat.results.read import read_records
from tests.e2e.conftest import Project
from tests.e2e.conftest import project as project  # a fixture
from tests.faults.test_deaths import CASES, EVERY_WAY, TARGET, VICTIM
from tests.faults.test_deaths import doomed as doomed  # a fixture

SECONDS = 60
EACH_FAILS = {f"gpt2-twin-cpu-{mode}-answers": "kill" for mode in ("fp32", "bf16", "fp16", "int8")}


@EVERY_WAY
def test_a_crash_is_run_again_with_lf_and_nothing_else(doomed: Project, how):
    doomed.behave(**{f"{TARGET}-answers": "kill once"})
    doomed.run_apart(*how).assert_outcomes(passed=CASES - 1, failed=1)
    doomed.run_apart(*how, "--lf").assert_outcomes(passed=1)
    assert doomed.records()[-1]["case"] == VICTIM


def test_the_first_crash_ends_the_run_with_x(doomed: Project):
    doomed.behave(**EACH_FAILS)
    result = doomed.run_apart("--compat-isolate", "-x")
    assert list(doomed.outcomes().values()).count("crashed") == 1
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def test_crashes_count_towards_maxfail(doomed: Project):
    doomed.behave(**EACH_FAILS)
    doomed.run_apart("--compat-isolate", "--maxfail", "3")
    assert list(doomed.outcomes().values()).count("crashed") == 3


def test_a_debugger_and_isolation_are_one_clear_error(doomed: Project):
    result = doomed.run_apart("--compat-isolate", "--pdb")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --compat-isolate: --pdb needs the test in its own *"])


def started(doomed: Project, *arguments: str) -> subprocess.Popen[bytes]:
    """A run in a session of its own that has come to a case which hangs."""
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=doomed.path,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + SECONDS
    while not any(line["case"] == VICTIM for line in written(doomed)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return run


def written(doomed: Project) -> list[dict[str, str]]:
    """The whole lines of what was begun and ended so far, by one process."""
    lines = [
        line
        for file in (doomed.path / "reports" / "runs").rglob("gw*.jsonl")
        for line in file.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]
    return [record for record in map(json.loads, lines) if "case" in record]


def test_ctrl_c_in_a_hanging_case_leaves_no_crash_behind(doomed: Project):
    doomed.behave(**{f"{TARGET}-answers": "hang"})
    run = started(doomed, "--compat-isolate", "-k", "gpt2", "--compat-report")
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(SECONDS) == pytest.ExitCode.INTERRUPTED
    assert set(doomed.outcomes().values()) == {"passed"}
    assert "crashed" not in (doomed.path / "reports" / "results.jsonl").read_text()


def test_after_a_power_cut_the_records_tell_the_case_and_its_stage(doomed: Project):
    doomed.behave(**{TARGET: "hang"})
    run = started(doomed, "--compat-isolate", "-k", "gpt2")
    while not any(line.get("stage") == "load" for line in written(doomed)[-1:]):
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(SECONDS)
    (crash,) = crashed_cases(read_records(doomed.path / "reports" / "runs").records)
    assert (crash.case, crash.outcome, crash.stage) == (VICTIM, Outcome.CRASHED, Stage.LOAD)
    assert {record["outcome"] for record in doomed.records()} == {"passed"}
