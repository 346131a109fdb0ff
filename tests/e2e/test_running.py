"""Loads, order, interruption, workers and their deaths."""

from __future__ import annotations

import sys

import pytest

BASE = {
    f"{slug}-{kind}": 1
    for slug in ("gpt2", "llama-3.2-1b")
    for kind in (
        "config-cpu-meta",
        *(f"twin-cpu-{mode}" for mode in ("fp32", "bf16", "fp16", "int8", "nf4", "disk-offload")),
    )
}
ANOTHER_FILE = """
import pytest

def test_plain():
    pass

@pytest.mark.compat(modes=["fp32", "nf4"], models=["gpt2"])
def test_mine(subject):
    assert subject.target.model.endswith("gpt2")

def test_plain_too():
    pass
"""


@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_each_target_is_loaded_once(project, workers):
    project.pytester.makepyfile(test_another=ANOTHER_FILE)
    result = project.run_apart("-n", workers)
    result.assert_outcomes(passed=26 + 4)
    assert project.loads() == BASE
    assert sum(end["loads"] for end in project.records("job_end")) == len(BASE)


def test_workers_report_targets_as_they_complete(project):
    result = project.run_apart("-n", "2", "--compat-report")
    result.stdout.fnmatch_lines(["[[]14/14[]] *", "26 cases: 26 passed"])
    runs = {record["run"] for kind in ("run", "case") for record in project.records(kind)}
    assert len(runs) == 1
    assert (project.path / "reports" / "index.html").exists()


def test_a_project_without_targets_keeps_xdists_own_scheduling(project):
    project.pytester.makepyfile(
        test_suite="import pytest\n"
        "@pytest.mark.parametrize('n', range(20))\n"
        "def test_plain(n): pass\n"
    )
    project.run_apart("-n", "2").assert_outcomes(passed=20)


def test_a_worker_that_is_killed_costs_one_case_and_is_named(project):
    project.behave(**{"gpt2-twin-cpu-bf16-answers": "die"})
    result = project.run_apart("-n", "2")
    result.assert_outcomes(passed=25, failed=1)
    victim = "openai-community/gpt2/twin/cpu/bf16/bare/answers"
    outcomes = project.outcomes()
    assert outcomes.pop(victim) == "crashed"
    assert set(outcomes.values()) == {"passed"}
    assert len(outcomes) == 25
    result.stdout.fnmatch_lines(
        ["*the process was killed by SIGKILL, at the stage check (worker gw*"]
    )
    assert project.loads() == BASE | {"gpt2-twin-cpu-bf16": 2}


def test_the_last_case_of_all_may_kill_its_worker(project):
    project.behave(**{"llama-3.2-1b-twin-cpu-disk-offload-hooks_fire": "die"})
    project.run_apart("-n", "1").assert_outcomes(passed=25, failed=1)


def test_a_known_crash_is_expected(project):
    project.registry(
        gpt2={
            "known_failures": [
                {
                    "check": "answers",
                    "mode": "bf16",
                    "outcome": "crashed",
                    "blame": "upstream",
                    "reason": "the kernel reads past its buffer",
                }
            ]
        }
    )
    project.behave(**{"gpt2-twin-cpu-bf16-answers": "die"})
    result = project.run_apart("-n", "2")
    result.assert_outcomes(passed=25, xfailed=1)
    assert result.ret == 0


def test_ctrl_c_leaves_records_and_a_report_and_frees_the_target(project):
    project.behave(**{"gpt2-twin-cpu-bf16-answers": "interrupt"})
    result = project.run_apart("--compat-report")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    (end,) = project.records("job_end")
    assert end["exit_status"] == 2
    assert len(project.records()) == 3
    assert len({start["execution"] for start in project.records("case_start")}) == 4
    assert not list(project.path.glob("held-*"))
    assert (project.path / "reports" / "index.html").exists()


def test_ctrl_c_in_a_worker_is_no_crash(project):
    project.behave(**{"gpt2-twin-cpu-bf16-answers": "interrupt"})
    result = project.run_apart("-n", "2", "-k", "gpt2", "--compat-report")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert set(project.outcomes().values()) == {"passed"}
    assert "crashed" not in (project.path / "reports" / "results.jsonl").read_text()


def test_the_first_failure_may_end_the_run(project):
    project.behave(hooks_fire="fail")
    project.run("-x", "-k", "gpt2").assert_outcomes(passed=2, failed=1)


def test_a_target_is_out_of_memory_before_the_next_one_is_loaded_even_after_failures(project):
    project.behave(**{"answers": "fail", "gpt2-twin-cpu-nf4-hooks_fire": "trace"})
    project.run("-k", "gpt2", "-rf").assert_outcomes(passed=6, failed=7)
    assert project.loads()["gpt2-twin-cpu-disk-offload"] == 1


def test_failures_first_does_not_tear_targets_apart(project):
    project.behave(**{"llama-3.2-1b-twin-cpu-nf4-hooks_fire": "fail"})
    project.run_cached()
    (project.path / "loads.log").unlink()
    project.run_cached("--ff").assert_outcomes(passed=25, failed=1)
    assert project.loads() == BASE


def test_a_debugger_gets_the_failing_frame_while_the_target_is_loaded(project):
    project.behave(hooks_fire="fail")
    result = project.pytester.run(
        *(sys.executable, "-m", "pytest", "--pdb", "-k", "gpt2 and twin and fp32"),
        stdin=b"p 'in', name, subject.target.slug\nq\n",
        timeout=60,
    )
    result.stdout.fnmatch_lines(["*('in', 'hooks_fire', 'gpt2')*"])


def test_a_check_is_added_by_writing_one_function(project):
    project.pytester.makepyfile(
        test_suite='''
        from compat.checks.registry import check
        from compat.suite import test_check
        from conftest import CATALOGUE


        @check(area="manners", needs={"decoder-only"}, catalogue=CATALOGUE)
        def says_please(subject):
            """It says please."""
            assert "please" in "please and thank you"
        '''
    )
    result = project.run("-m", "manners", "-k", "fp32")
    result.assert_outcomes(passed=2)
    assert {record["area"] for record in project.records()} == {"manners"}


def test_a_projects_check_joins_those_of_the_suite(project):
    project.pytester.makeconftest("")
    project.pytester.makepyfile(
        test_suite='''
        from compat.checks.registry import check
        from compat.suite import test_check


        @check(area="manners", needs={"decoder-only"})
        def says_please(subject):
            """It says please."""
        '''
    )
    result = project.run_apart("--collect-only", "-q", "-k", "gpt2 and fp32 and not offload")
    ids = [line for line in result.outlines if "::" in line]
    assert [line for line in ids if "says_please" in line] == [
        "test_suite.py::test_check[gpt2-twin-cpu-fp32-says_please]"
    ]
    assert len(ids) > 20


def test_a_persons_own_test_runs_over_the_same_targets(project):
    project.pytester.makepyfile(test_suite=ANOTHER_FILE)
    result = project.run("-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        ["*::test_mine[[]gpt2-twin-cpu-fp32[]] PASSED*", "*::test_mine[[]gpt2-twin-cpu-nf4[]] *"]
    )
    assert [record["area"] for record in project.records()] == ["own", "own"]


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("modes=['fp3']", "*test_mine: @pytest.mark.compat: 'fp3' is none of fp32, *"),
        ("weights='tiny'", "*'tiny' is none of hub, twin, *"),
        ("models=['gpt3']", "*no model 'gpt3' in the registry*"),
        ("mode='fp32'", "*takes modes, weights, models by name, not mode"),
    ],
)
def test_a_mark_that_names_what_is_not_there_says_what_is(project, mark, message):
    project.pytester.makepyfile(
        test_suite=f"import pytest\n@pytest.mark.compat({mark})\ndef test_mine(subject): pass\n"
    )
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_an_own_test_may_skip_and_xfail_by_pytests_means(project):
    project.pytester.makepyfile(
        test_suite="""
        import pytest

        @pytest.mark.compat(modes=["fp32"], models=["gpt2"])
        def test_skips(subject):
            pytest.skip("not today")

        @pytest.mark.xfail(reason="known to me")
        @pytest.mark.compat(modes=["fp32"], models=["gpt2"])
        def test_fails(subject):
            assert False
        """
    )
    project.run().assert_outcomes(skipped=1, xfailed=1)
    assert sorted(project.outcomes().values()) == ["known_failure", "skipped"]
