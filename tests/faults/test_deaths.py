"""A process that dies or hangs costs the case that did it, and nothing else."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Project
from tests.e2e.conftest import project as project  # a fixture

CASES = 26
TARGET = "gpt2-twin-cpu-bf16"
VICTIM = "openai-community/gpt2/twin/cpu/bf16/bare/answers"
WAYS_TO_RUN = {"isolated": ("--compat-isolate",), "-n1": ("-n", "1"), "-n2": ("-n", "2")}
EVERY_WAY = pytest.mark.parametrize("how", WAYS_TO_RUN.values(), ids=WAYS_TO_RUN)

SECONDS = 5
"""The deadline of hanging checks. A healthy one takes milliseconds, on a busy machine too."""
DEADLINE = ("--compat-deadline", f"check={SECONDS}")
CHILD_LIVES = 40
OVER = f"was ended: its deadline of {SECONDS} s was over"


@dataclass(frozen=True)
class Fault:
    """What a check does to its process, and what must be known of it afterwards."""

    name: str
    mode: str
    """Of the GPT-2 twin whose check does it."""
    message: str
    outcome: str = "crashed"
    signal: str | None = None
    line: str = ""
    """What is among the last lines of its standard error."""

    @property
    def target(self) -> str:
        return f"gpt2-twin-cpu-{self.mode}"

    @property
    def case(self) -> str:
        return f"openai-community/gpt2/twin/cpu/{self.mode}/bare/answers"


DEATHS = (
    Fault("kill", "fp32", "was killed by SIGKILL", signal="SIGKILL"),
    Fault("exit quietly", "bf16", "ended with exit status 0"),
    Fault("segfault", "fp16", "was killed by SIGSEGV", signal="SIGSEGV", line="in segfault"),
    Fault("overflow the stack", "int8", "was killed by SIGSEGV", signal="SIGSEGV", line="in again"),
    Fault("abort with a word", "nf4", "was killed by SIGABRT", signal="SIGABRT", line="bad_alloc"),
)
HANGS = (
    Fault("hang", "fp32", OVER, "timeout", line="in hang"),
    Fault("hang with the lock", "bf16", OVER, "timeout", line="in hang_with_the_lock"),
    Fault("freeze", "fp16", OVER, "timeout"),
)
FIVE_CHECKS = '''
from compat.checks.registry import check
from compat.suite import test_check
from conftest import CATALOGUE

for number in range(3):
    def another(subject):
        """It answers again."""

    another.__name__ = f"another_{number}"
    check(area="forward", catalogue=CATALOGUE)(another)
'''


@pytest.fixture
def doomed(project: Project) -> Project:
    """A project whose checks and loads know every way to take their process down."""
    ways = Path(__file__).with_name("faults.py").read_text()
    (project.path / "faults.py").write_text(ways)
    return project


def victims(doomed, *cases):
    """What is recorded of the cases that died; everything else has passed, each case once."""
    records = {record["case"]: record for record in doomed.records()}
    assert len(records) == len(doomed.records()) == CASES
    died = [records.pop(case) for case in cases]
    assert {record["outcome"] for record in records.values()} == {"passed"}
    return died


@pytest.mark.parametrize(
    ("how", "faults"),
    [
        pytest.param(WAYS_TO_RUN["isolated"], DEATHS, id="isolated-deaths"),
        pytest.param(WAYS_TO_RUN["-n1"], DEATHS, id="n1-deaths"),
        pytest.param(WAYS_TO_RUN["-n2"], DEATHS, id="n2-deaths"),
        pytest.param(WAYS_TO_RUN["isolated"], HANGS, id="isolated-hangs"),
        pytest.param(WAYS_TO_RUN["-n2"], HANGS, id="n2-hangs"),
    ],
)
def test_each_costs_the_case_that_did_it_and_one_reload(doomed, how, faults):
    doomed.behave(**{f"{fault.target}-answers": fault.name for fault in faults})
    result = doomed.run_apart(*how, *DEADLINE)
    result.assert_outcomes(passed=CASES - len(faults), failed=len(faults))
    for fault, died in zip(faults, victims(doomed, *[f.case for f in faults]), strict=True):
        assert (died["outcome"], died["stage"]) == (fault.outcome, "check")
        assert died["measures"].get("signal") == fault.signal
        assert died["measures"]["peak_resident_bytes"] > 10e6
        assert fault.message in died["failure"]["message"]
        assert fault.line in died["failure"].get("trace", "")
        assert doomed.loads()[fault.target] == 2
    assert doomed.loads().total() == len(doomed.loads()) + len(faults)


def test_the_last_words_of_a_process_are_kept_as_plain_text_without_secrets(doomed):
    doomed.behave(**{f"{TARGET}-answers": "abort with a word"})
    result = doomed.run_apart("-n", "1")
    trace = victims(doomed, VICTIM)[0]["failure"]["trace"]
    assert "terminate called after throwing an instance of 'std::bad_alloc'" in trace
    assert "token *** [31mred" in trace
    assert "Fatal Python error: Aborted" in trace
    assert "in abort_with_a_word" in trace
    result.stdout.fnmatch_lines(["*last lines of its standard error:", "terminate called *"])
    assert not list(doomed.path.rglob("*.stderr"))


@EVERY_WAY
def test_a_load_that_kills_its_process_costs_that_case_alone(doomed, how):
    doomed.behave(**{TARGET: "kill once"})
    doomed.run_apart(*how).assert_outcomes(passed=CASES - 1, failed=1)
    assert victims(doomed, VICTIM)[0]["stage"] == "load"


def test_a_load_that_hangs_is_told_from_a_check_that_does(doomed):
    doomed.behave(**{TARGET: "hang"})
    doomed.run_apart("--compat-isolate", "-k", TARGET, "--compat-deadline", "load=2")
    assert {(one["outcome"], one["stage"]) for one in doomed.records()} == {("timeout", "load")}


def test_a_models_own_deadline_is_in_the_registry(doomed):
    doomed.registry(gpt2={"deadlines": {"check": SECONDS}})
    doomed.behave(**{f"{TARGET}-answers": "hang"})
    doomed.run_apart("--compat-isolate", "-k", "gpt2").assert_outcomes(passed=12, failed=1)
    assert doomed.outcomes()[VICTIM] == "timeout"


@pytest.mark.parametrize("given", ["check", "check=0", "teardown=3", "load=soon"])
def test_a_deadline_that_is_none_says_what_one_is(doomed, given):
    result = doomed.run("--compat-deadline", given)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --compat-deadline: '{given}' is not STAGE=SECONDS, *"])


@EVERY_WAY
def test_a_target_that_kills_its_third_worker_is_not_loaded_again(doomed, how):
    doomed.pytester.makepyfile(test_suite=FIVE_CHECKS)
    doomed.behave(**{TARGET: "kill"})
    result = doomed.run_apart(*how, "-rs")
    outcomes = Counter(record["outcome"] for record in doomed.records())
    assert outcomes == {"crashed": 3, "skipped": 2, "passed": CASES - 2 + 3 * 11}
    skipped = [record for record in doomed.records() if record["outcome"] == "skipped"]
    assert {record["reason"]["code"] for record in skipped} == {"not-run"}
    assert doomed.loads()[TARGET] == 3
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*3 workers have died of this target; the last of them was *"])


def test_a_child_that_a_dead_process_leaves_behind_holds_nothing_up(doomed):
    doomed.behave(**{f"{TARGET}-answers": "die and leave a child"})
    began = time.monotonic()
    doomed.run_apart("--compat-isolate").assert_outcomes(passed=CASES - 1, failed=1)
    assert time.monotonic() - began < CHILD_LIVES
