"""A process that dies or hangs costs the case that did it, and nothing else."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compat.outcomes import Outcome, Stage
from compat.results.merge import crashed_cases
from compat.results.read import read_records
from tests.e2e.conftest import Project
from tests.e2e.conftest import project as project  # a fixture
from tests.faults.memory_group import memory_group

CASES = 26
TARGET = "gpt2-twin-cpu-bf16"
VICTIM = "openai-community/gpt2/twin/cpu/bf16/bare/answers"
WAYS_TO_RUN = {"isolated": ("--compat-isolate",), "-n1": ("-n", "1"), "-n2": ("-n", "2")}
EVERY_WAY = pytest.mark.parametrize("how", WAYS_TO_RUN.values(), ids=WAYS_TO_RUN)
ALONE_OR_NOT = pytest.mark.parametrize("how", [WAYS_TO_RUN["isolated"], WAYS_TO_RUN["-n2"]])

SECONDS = 3
"""The deadline of whatever hangs. What is healthy takes milliseconds, on a busy machine too."""
ROOM = 300_000_000
"""Memory for a run and its workers, which take a third of it, in bytes."""
DEADLINES = ("--compat-deadline", f"weights={SECONDS},load={SECONDS},check={SECONDS}")
CHILD_LIVES = 40
OVER = f"was ended: its deadline of {SECONDS} s was over"


@dataclass(frozen=True)
class Fault:
    """What happens to the process of a twin, and what must be known of it afterwards."""

    verb: str
    mode: str
    message: str
    slug: str = "gpt2"
    in_check: bool = True
    """Whether a check does it; else it is the opening of the target."""
    outcome: str = "crashed"
    stage: str = "check"
    signal: str | None = None
    line: str = ""
    """What is among the last lines of its standard error."""
    loads: int = 2

    @property
    def target(self) -> str:
        return f"{self.slug}-twin-cpu-{self.mode}"

    @property
    def case(self) -> str:
        return f"{MODELS[self.slug]}/twin/cpu/{self.mode}/bare/answers"

    @property
    def behaviour(self) -> dict[str, str]:
        return {f"{self.target}-answers" if self.in_check else self.target: self.verb}


def hang(verb: str, mode: str, **known: Any) -> Fault:
    return Fault(verb, mode, OVER, "llama-3.2-1b", outcome="timeout", **known)


MODELS = {"gpt2": "openai-community/gpt2", "llama-3.2-1b": "meta-llama/Llama-3.2-1B"}
FAULTS = (
    Fault("kill", "fp32", "was killed by SIGKILL", signal="SIGKILL"),
    Fault("exit quietly", "bf16", "ended with exit status 0"),
    Fault("segfault", "fp16", "was killed by SIGSEGV", signal="SIGSEGV", line="in segfault"),
    Fault("overflow the stack", "int8", "was killed by SIGSEGV", signal="SIGSEGV", line="in again"),
    Fault("abort with a word", "nf4", "was killed by SIGABRT", signal="SIGABRT", line="bad_alloc"),
    Fault(
        "kill once",
        "disk-offload",
        "was killed by SIGKILL",
        in_check=False,
        stage="load",
        signal="SIGKILL",
    ),
    hang("hang", "fp32", line="in hang"),
    hang("hang with the lock", "bf16", line="in hang_with_the_lock"),
    hang("freeze", "fp16"),
    hang("hang once", "int8", in_check=False, stage="load", line="in hang"),
    hang(
        "hang once in the download",
        "nf4",
        in_check=False,
        stage="weights",
        line="in hang_in_the_download",
        loads=1,
    ),
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


@EVERY_WAY
def test_each_costs_the_case_that_did_it_and_one_reload(doomed, how):
    doomed.behave(**{where: verb for fault in FAULTS for where, verb in fault.behaviour.items()})
    result = doomed.run_apart(*how, *DEADLINES)
    result.assert_outcomes(passed=CASES - len(FAULTS), failed=len(FAULTS))
    for fault, died in zip(FAULTS, victims(doomed, *[f.case for f in FAULTS]), strict=True):
        assert (died["outcome"], died["stage"]) == (fault.outcome, fault.stage)
        assert died["measures"].get("signal") == fault.signal
        assert died["measures"]["peak_resident_bytes"] > 10e6
        assert fault.message in died["failure"]["message"]
        assert fault.line in died["failure"].get("trace", "")
        assert doomed.loads()[fault.target] == fault.loads
    reloads = sum(fault.loads - 1 for fault in FAULTS)
    assert doomed.loads().total() == len(doomed.loads()) + reloads


@ALONE_OR_NOT
def test_a_process_that_the_kernel_ends_for_want_of_memory_says_so(doomed, how):
    doomed.behave(**{f"{TARGET}-answers": "take all memory"})
    with memory_group(ROOM) as through:
        result = doomed.run_apart(*how, through=through)
    result.assert_outcomes(passed=CASES - 1, failed=1)
    (died,) = victims(doomed, VICTIM)
    assert (died["outcome"], died["stage"]) == ("error", "check")
    assert "was killed by SIGKILL: the kernel ran out of memory" in died["failure"]["message"]
    assert ROOM / 4 < died["measures"]["peak_resident_bytes"] <= ROOM
    assert doomed.loads().total() == len(doomed.loads()) + 1


def test_without_a_child_the_run_ends_and_its_records_say_where_and_go_on(doomed):
    doomed.behave(**{f"{TARGET}-answers": "kill once"})
    doomed.run_apart("-n", "0")
    (crash,) = crashed_cases(read_records(doomed.path / "reports" / "runs").records)
    assert (crash.case, crash.outcome, crash.stage) == (VICTIM, Outcome.CRASHED, Stage.CHECK)
    ran = len(doomed.records())
    result = doomed.run_apart("-n", "0", "--compat-resume")
    result.assert_outcomes(passed=CASES - ran)
    assert set(doomed.outcomes().values()) == {"passed"}
    assert len(doomed.outcomes()) == CASES


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


@pytest.mark.parametrize(
    ("stage", "behaviour"),
    [
        ("weights", {TARGET: "hang once in the download"}),
        ("load", {TARGET: "hang once"}),
        ("check", {f"{TARGET}-answers": "hang"}),
    ],
)
def test_a_models_own_deadline_of_a_stage_is_in_the_registry(doomed, stage, behaviour):
    doomed.registry(gpt2={"deadlines": {stage: SECONDS}})
    doomed.behave(**behaviour)
    doomed.run_apart("--compat-isolate", "-k", "gpt2").assert_outcomes(passed=12, failed=1)
    (late,) = [record for record in doomed.records() if record["outcome"] != "passed"]
    assert (late["case"], late["outcome"], late["stage"]) == (VICTIM, "timeout", stage)


@pytest.mark.parametrize("given", ["check", "check=0", "teardown=3", "load=soon"])
def test_a_deadline_that_is_none_says_what_one_is(doomed, given):
    result = doomed.run("--compat-deadline", given)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --compat-deadline: '{given}' is not STAGE=SECONDS, *"])


@ALONE_OR_NOT
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
