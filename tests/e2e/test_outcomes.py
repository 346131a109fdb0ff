"""What pytest shows and what the records keep of each outcome."""

from __future__ import annotations

import pytest

FP32 = "openai-community/gpt2/twin/cpu/fp32/bare"
ONE_TARGET = ("-k", "gpt2 and twin and fp32")


def row(**changes: object) -> dict[str, object]:
    """A known failure of GPT-2's hooks."""
    return {
        "check": "hooks_fire",
        "raises": {"type": "AssertionError", "match": "wrong by"},
        "blame": "upstream",
        "reason": "a hook is lost",
    } | changes


def test_a_record_tells_all_of_a_case(project):
    project.behave(answers="say")
    project.run(*ONE_TARGET).assert_outcomes(passed=2)
    first, second = project.records()
    assert first["case"] == f"{FP32}/answers"
    assert first["family"] == "gpt2"
    assert first["area"] == "forward"
    assert first["sample"] == "once upon a time"
    assert first["revision"] == "fake"
    assert first["measures"]["load_seconds"] == 0.25
    assert "load_seconds" not in second["measures"]
    assert second["reproduce"] == (
        "pytest 'test_suite.py::test_check[gpt2-twin-cpu-fp32-hooks_fire]'"
    )


def test_records_of_a_run_begin_with_what_and_where_and_end_in_good_order(project):
    project.run(*ONE_TARGET)
    (run,), (environment,), (end,) = map(project.records, ("run", "env", "job_end"))
    assert run["command"][0] == "pytest"
    assert environment["id"] == project.records()[0]["environment"]
    assert (end["exit_status"], end["cases"], end["loads"]) == (0, 2, 1)
    (planned,) = project.records("planned")
    assert planned["cases"] == {FP32: ["answers", "hooks_fire"]}


def test_a_failing_check_shows_its_own_frame_and_none_of_the_suite(project):
    project.behave(hooks_fire="fail")
    result = project.run(*ONE_TARGET)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*_ test_check[[]gpt2-twin-cpu-fp32-hooks_fire[]] _*"])
    result.stdout.fnmatch_lines(['*act("hooks_fire", subject)*', "E *hooks_fire is wrong by 0.5"])
    assert "compat/suite.py" not in result.stdout.str()
    assert "compat/runner.py" not in result.stdout.str()
    failure = project.records()[1]["failure"]
    assert failure["type"] == "AssertionError"
    assert failure["message"] == "hooks_fire is wrong by 0.5"
    assert "conftest.py" in failure["trace"]


def test_a_known_failure_is_expected(project):
    project.registry(gpt2={"known_failures": [row()]})
    project.behave(hooks_fire="fail")
    result = project.run(*ONE_TARGET)
    result.assert_outcomes(passed=1, xfailed=1)
    assert result.ret == 0
    record = project.records()[1]
    assert record["outcome"] == "known_failure"
    assert record["expectation"]["blame"] == "upstream"
    result.stdout.fnmatch_lines(["known failure: 1 because a hook is lost; upstream has to act"])


def test_a_known_failure_that_passes_fails_the_run_and_names_its_line(project):
    project.registry(gpt2={"known_failures": [row()]})
    result = project.run(*ONE_TARGET)
    result.assert_outcomes(passed=1, failed=1)
    line = project.records()[1]["expectation"]["line"]
    result.stdout.fnmatch_lines([f"*models.yaml:{line} says that it fails (a hook is lost)*"])
    assert project.outcomes()[f"{FP32}/hooks_fire"] == "fixed"


def test_a_known_failure_that_fails_otherwise_is_a_failure(project):
    project.registry(gpt2={"known_failures": [row(raises={"type": "ValueError", "match": "x"})]})
    project.behave(hooks_fire="fail")
    result = project.run(*ONE_TARGET)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["it fails otherwise than models.yaml:* says: *ValueError*"])
    assert project.outcomes()[f"{FP32}/hooks_fire"] == "failed"


def test_a_row_that_no_case_can_show_is_an_error_even_under_k(project):
    project.registry(gpt2={"known_failures": [row(check="hooks_fly")]})
    result = project.run("-k", "llama")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: models.yaml:*no check 'hooks_fly'*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_registry_with_an_error_is_one_message_and_exit_code_4(project):
    project.registry(gpt2={"famly": "gpt2"})
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: models.yaml:*famly*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_registry_with_an_error_is_one_message_from_two_workers_too(project):
    project.registry(gpt2={"famly": "gpt2"})
    result = project.run_apart("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stdout.str().count("famly") == 1
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_target_that_does_not_load_fails_each_case_and_is_tried_once(project):
    project.behave(**{"gpt2-twin-cpu-fp32": "broken"})
    result = project.run(*ONE_TARGET)
    result.assert_outcomes(failed=2)
    assert project.loads() == {"gpt2-twin-cpu-fp32": 1}
    assert [record["stage"] for record in project.records()] == ["load", "load"]
    assert {record["failure"]["message"] for record in project.records()} == {
        "the checkpoint is empty"
    }


def test_a_listed_exception_at_the_load_boundary_is_a_skip_with_its_reason(project):
    project.behave(**{"gpt2-twin-cpu-fp32": "gated"})
    result = project.run(*ONE_TARGET)
    result.assert_outcomes(skipped=2)
    assert project.loads() == {"gpt2-twin-cpu-fp32": 1}
    reason = project.records()[0]["reason"]
    assert (reason["reason_class"], reason["code"]) == ("access", "gated")
    assert reason["action"]
    result.stdout.fnmatch_lines(["SKIPPED [[]2[]] *gated: *"])


def test_no_skip_lets_a_skip_fail_and_the_record_blames_nobody(project):
    project.behave(**{"gpt2-twin-cpu-fp32": "gated"})
    result = project.run(*ONE_TARGET, "--compat-no-skip", "gated")
    result.assert_outcomes(failed=2)
    assert set(project.outcomes().values()) == {"skipped"}


def test_memory_that_runs_out_in_a_check_is_the_suites_error(project):
    project.behave(answers="memory")
    project.run(*ONE_TARGET).assert_outcomes(passed=1, failed=1)
    assert project.outcomes()[f"{FP32}/answers"] == "error"


def test_a_check_that_leaves_a_trace_fails_and_the_next_one_gets_a_fresh_target(project):
    project.behave(answers="trace")
    project.run(*ONE_TARGET).assert_outcomes(passed=1, failed=1)
    first, second = project.records()
    assert (first["outcome"], first["stage"]) == ("failed", "pristine")
    assert second["outcome"] == "passed"
    assert project.loads() == {"gpt2-twin-cpu-fp32": 2}


def test_weights_that_have_changed_are_found_at_the_end_of_their_target(project):
    project.behave(answers="change")
    result = project.run(*ONE_TARGET)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*WeightsChangedError*"])
    assert project.records()[-1]["outcome"] == "failed"


def test_progress_is_one_line_a_target(project):
    project.behave(**{"gpt2-twin-cpu-int8-answers": "fail"})
    result = project.run("-k", "gpt2")
    result.stdout.fnmatch_lines(
        [
            "[[]1/7[]] gpt2 config cpu meta  1 case: 1 passed *",
            "[[]2/7[]] gpt2 twin cpu fp32  2 cases: 2 passed *",
            "[[]5/7[]] gpt2 twin cpu int8  2 cases: 1 passed, 1 failed, namely answers *",
            "*-- compat --*",
            "13 cases: 12 passed, 1 failed",
            "records: reports?runs?*",
        ]
    )


def test_verbose_output_is_pytests_own(project):
    result = project.run("-v", *ONE_TARGET)
    result.stdout.fnmatch_lines(["*test_check[[]gpt2-twin-cpu-fp32-answers[]] PASSED*"])
    result.stdout.no_fnmatch_line("[[]1/1[]]*")


def test_a_report_is_written_only_when_it_is_asked_for(project):
    project.run(*ONE_TARGET)
    assert not (project.path / "reports" / "index.html").exists()
    project.run(*ONE_TARGET, "--compat-report")
    assert "gpt2" in (project.path / "reports" / "index.html").read_text()


def test_tokens_and_home_folders_are_in_no_record(project, monkeypatch):
    token = "hf_" + "aB3" * 8
    monkeypatch.setenv("HF_TOKEN", token)
    project.registry(gpt2={"known_failures": [row(reason=f"told by {token}")]})
    project.behave(hooks_fire="fail")
    project.run(*ONE_TARGET)
    written = "".join(file.read_text() for file in project.path.rglob("*.jsonl"))
    assert token not in written
    assert str(project.path) not in written


def test_the_raw_log_has_our_columns(project):
    project.behave(**{"gpt2-twin-cpu-fp32": "gated"})
    project.run(*ONE_TARGET, "--html", "log.html", "--self-contained-html")
    log = (project.path / "log.html").read_text()
    assert "Area" in log
    assert "forward" in log
