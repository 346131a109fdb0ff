"""What -m, -k, node ids and options select."""

from __future__ import annotations

import json
import re

import pytest


def collected(result: pytest.RunResult) -> list[str]:
    return re.findall(r"\[(.+?)\]$", result.stdout.str(), flags=re.MULTILINE)


def test_twins_and_facts_are_the_base_set_in_registry_order(project):
    ids = collected(project.run("--collect-only", "-q"))
    assert ids[0] == "gpt2-config-cpu-meta-facts_hold"
    assert ids[1:3] == ["gpt2-twin-cpu-fp32-answers", "gpt2-twin-cpu-fp32-hooks_fire"]
    assert len(ids) == 2 * (1 + 6 * 2)
    assert [part for part in ids if "hub" in part or "gpu" in part or "fp4-" in part] == [
        part for part in ids if "nf4" in part and "fp4-" in part
    ]


def test_a_copied_node_id_runs_exactly_that_case(project):
    case = "test_suite.py::test_check[gpt2-twin-cpu-nf4-hooks_fire]"
    result = project.run(case)
    result.assert_outcomes(passed=1)
    assert list(project.outcomes()) == ["openai-community/gpt2/twin/cpu/nf4/bare/hooks_fire"]


@pytest.mark.parametrize("part", ["gpt2-hub-cpu-nf4-answers", "gpt2-twin-gpu-bf16-answers"])
def test_a_node_id_outside_the_base_set_runs_exactly_that_case(project, part):
    result = project.run(f"test_suite.py::test_check[{part}]")
    result.assert_outcomes(skipped=1)


def test_a_node_id_of_no_case_is_not_found(project):
    result = project.run("test_suite.py::test_check[gpt2-twin-cpu-nf4-no_such_check]")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_node_id_beside_a_folder_narrows_nothing(project):
    case = "test_suite.py::test_check[gpt2-hub-cpu-nf4-answers]"
    ids = collected(project.run("--collect-only", "-q", ".", case))
    assert len(ids) > 2
    assert "gpt2-hub-cpu-nf4-answers" in ids


def test_not_hooks_brings_in_nothing(project):
    ids = collected(project.run("--collect-only", "-q", "-m", "not hooks"))
    assert len(ids) == 2 * (1 + 6)
    assert not any("hub" in part or "gpu" in part or "hooks" in part for part in ids)


def test_gpu_brings_in_twins_and_hub_on_the_gpu_and_says_what_would_have_run(project):
    result = project.run("-m", "gpu", "-k", "llama")
    assert result.ret == 0
    outcomes = project.outcomes()
    assert all("/gpu/" in case and "Llama" in case for case in outcomes)
    assert {case.split("/")[2] for case in outcomes} == {"twin", "hub"}
    result.stdout.fnmatch_lines(["*llama-3.2-1b twin gpu fp32*2 no gpu*", "*because no GPU; run*"])


def test_hub_works_without_a_gpu(project):
    ids = collected(project.run("--collect-only", "-q", "-m", "hub"))
    assert {part.rpartition("-hub-")[2].split("-")[0] for part in ids} == {"cpu"}


def test_a_mode_on_request_comes_with_its_mark_or_by_name(project):
    by_mark = collected(project.run("--collect-only", "-q", "-m", "fp4"))
    by_name = collected(project.run("--collect-only", "-q", "--compat-modes", "fp4"))
    assert by_mark == by_name
    assert len(by_mark) == 2 * 2


def test_a_mark_of_somebody_else_leaves_the_base_set_to_pytest(project):
    project.pytester.makeini(
        "[pytest]\nstrict_markers = true\ncompat_registry = models.yaml\nmarkers = slow: slow\n"
    )
    with (project.path / "conftest.py").open("a") as conftest:
        conftest.write(
            "\ndef pytest_collection_modifyitems(items):\n"
            "    [item.add_marker('slow') for item in items if 'gpt2' in item.name]\n"
        )
    ids = collected(project.run("--collect-only", "-q", "-m", "slow and fp32"))
    assert ids == ["gpt2-twin-cpu-fp32-answers", "gpt2-twin-cpu-fp32-hooks_fire"]


def test_options_replace_the_defaults(project):
    ids = collected(
        project.run(
            "--collect-only", "-q", "--compat-weights", "hub", "--compat-modes", "bf16,nf4",
            "--compat-model", "gpt2",
        )
    )  # fmt: skip
    assert {part.rpartition("-")[0] for part in ids} == {"gpt2-hub-cpu-bf16", "gpt2-hub-cpu-nf4"}


@pytest.mark.parametrize(
    ("option", "slugs"),
    [
        (("--compat-families", "llama"), {"llama-3.2-1b"}),
        (("--compat-per-family", "1"), {"gpt2", "llama-3.2-1b"}),
        (("--compat-per-family", "0"), set()),
    ],
)
def test_families_narrow_the_models(project, option, slugs):
    ids = collected(project.run("--collect-only", "-q", "-k", "fp32", *option))
    assert {part.partition("-twin")[0] for part in ids} == slugs


def test_a_folder_that_is_no_checkpoint_is_a_usage_error(project):
    result = project.run("--compat-model", "./reports")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --compat-model: './reports' holds no config.json"])


def test_a_checkpoint_folder_is_tested_alone_and_in_every_mode(project):
    folder = project.path / "my-model"
    folder.mkdir()
    config = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 2, "vocab_size": 99}
    config["architectures"] = ["GPT2LMHeadModel"]
    (folder / "config.json").write_text(json.dumps(config))
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    weights = len(header).to_bytes(8, "little") + header + bytes(8)
    (folder / "model.safetensors").write_bytes(weights)
    ids = collected(project.run("--collect-only", "-q", "--compat-model", "my-model"))
    assert len(ids) == 6 * 2
    assert all(part.startswith("my-model-local-cpu-") for part in ids)


def test_a_report_folder_is_never_what_was_meant_as_tests(project):
    result = project.run("--compat-report", "test_suite.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --compat-report: 'test_suite.py' is no folder; *"])


def test_a_mode_that_is_none_lists_the_modes(project):
    result = project.run("--compat-modes", "fp3")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --compat-modes: 'fp3' is none of fp32, bf16, *"])


def test_a_model_that_is_none_says_so_without_a_traceback(project):
    result = project.run("--compat-model", "gtp2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no model 'gtp2' in the registry*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_nothing_selected_is_an_empty_run_and_no_skipped_test(project):
    result = project.run("-k", "no_such_thing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.assert_outcomes(deselected=1)


def test_last_failed_runs_the_failures_and_nothing_else(project):
    project.behave(**{"gpt2-twin-cpu-nf4-hooks_fire": "fail"})
    project.run_cached("-k", "gpt2").assert_outcomes(passed=12, failed=1)
    project.run_cached("--lf", "-k", "gpt2").assert_outcomes(failed=1)


def test_last_failed_finds_a_case_outside_of_the_base_set(project):
    failing = ["-m", "hub", "-k", "gpt2 and nf4 and hooks", "--compat-no-skip", "not-downloaded"]
    project.run_cached(*failing).assert_outcomes(failed=1)
    result = project.run_cached("--lf", "--compat-no-skip", "not-downloaded")
    result.assert_outcomes(failed=1)


def test_collection_imports_neither_torch_nor_transformers(project):
    result = project.run_apart("--collect-only", "-q")
    assert result.ret == 0
    assert (project.path / "heavy.txt").read_text() == ""


def test_a_run_without_targets_imports_no_registry(project):
    project.pytester.makepyfile(test_suite="def test_other(): pass")
    project.pytester.makeconftest(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    print('registry' if 'compat.registry' in sys.modules else 'light')\n"
        "    print('pydantic' if 'pydantic' in sys.modules else 'light')\n"
    )
    result = project.run_apart("-s", "-p", "no:hypothesispytest")
    result.stdout.fnmatch_lines(["*light", "light"])
    assert not (project.path / "reports").exists()


def test_a_subject_fixture_of_somebody_else_is_left_alone(project):
    project.pytester.makepyfile(
        test_suite="""
        import pytest

        @pytest.fixture
        def subject():
            return "history"

        def test_other(subject):
            assert subject == "history"
        """
    )
    project.run().assert_outcomes(passed=1)
