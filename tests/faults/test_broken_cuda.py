"""Errors that break the CUDA context of their process. The GPU here is a stand-in."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Project
from tests.e2e.conftest import project as project  # a fixture
from tests.faults.test_deaths import doomed as doomed  # a fixture

BROKEN, HEALTHY = "gpt2-twin-gpu-fp32", "gpt2-twin-gpu-bf16"
ON_GPU = ("-m", "gpu and twin", "-k", "gpt2 and (fp32 or bf16)")
CASE = "openai-community/gpt2/twin/gpu"


@pytest.fixture
def broken(doomed: Project) -> Project:
    """Two targets on a GPU, the first check of the first of which breaks it."""
    behaviour = {BROKEN: "on gpu", HEALTHY: "on gpu", f"{BROKEN}-answers": "break cuda"}
    doomed.behave(**behaviour)
    return doomed


def test_the_worker_is_replaced_and_nothing_else_fails(broken):
    broken.run_apart("--compat-isolate", *ON_GPU).assert_outcomes(passed=3, failed=1)
    outcomes = broken.outcomes()
    assert outcomes.pop(f"{CASE}/fp32/bare/answers") == "failed"
    assert set(outcomes.values()) == {"passed"}
    assert broken.loads() == {BROKEN: 2, HEALTHY: 1}


def test_in_one_process_what_would_fail_for_it_is_not_run(broken):
    result = broken.run_apart(*ON_GPU, "-rs")
    result.assert_outcomes(failed=1, skipped=3)
    result.stdout.fnmatch_lines(["*not-run: *fp32-answers? has broken the CUDA context *"])
    assert broken.loads() == {BROKEN: 1}


def test_a_target_that_breaks_it_again_and_again_is_given_up(broken):
    verbs = {f"{BROKEN}-{check}": "break cuda" for check in ("answers", "hooks_fire")}
    broken.behave(**{BROKEN: "on gpu", HEALTHY: "on gpu"}, **verbs)
    broken.run_apart("-n", "1", *ON_GPU).assert_outcomes(passed=2, failed=2)
    assert broken.loads() == {BROKEN: 2, HEALTHY: 1}


def test_workers_beyond_the_gpus_are_one_clear_error(broken):
    conftest = broken.path / "conftest.py"
    conftest.write_text(conftest.read_text() + ONE_GPU)
    result = broken.run_apart("-n", "2", *ON_GPU)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: 2 workers for 1 GPUs, and every target needs one: -n 1"])
    result.stdout.no_fnmatch_line("*Traceback*")


ONE_GPU = """

from compat.targets import devices

GPU = devices.Gpu(name="H200", memory=141 * 10**9, capability=(9, 0))
devices.this_host = lambda *_: devices.Host(gpus=(GPU,), torch_cuda="12.8")
"""
