"""Pairs of models as targets of a run."""

from __future__ import annotations

import json
import re

import pytest

GPT2, LLAMA = "openai-community/gpt2", "meta-llama/Llama-3.2-1B"
PART = "gpt2-to-llama-3.2-1b-twin-cpu"
MODES = ("fp32", "bf16", "fp16", "int8", "nf4", "disk-offload")
ROW = {
    "check": "states_carried",
    "mode": "nf4",
    "raises": {"type": "AssertionError", "match": "wrong"},
    "blame": "upstream",
    "reason": "codes drown the states",
}


def collected(result: pytest.RunResult) -> list[str]:
    return re.findall(r"\[(.+?)\]$", result.stdout.str(), flags=re.MULTILINE)


@pytest.fixture
def paired(project):
    """A project whose registry lists one pair."""
    project.registry(pairs=[(GPT2, LLAMA)])
    return project


def test_a_listed_pair_is_in_the_base_set_behind_the_models(paired):
    ids = collected(paired.run("--collect-only", "-q"))
    assert ids[-6:] == [f"{PART}-{mode}-states_carried" for mode in MODES]
    assert len(ids) == 2 * (1 + 6 * 2) + 6


def test_a_pair_is_loaded_once_a_mode_and_recorded_under_both_ids(paired):
    paired.run("-m", "pairs").assert_outcomes(passed=6)
    assert paired.loads() == {f"{PART}-{mode}": 1 for mode in MODES}
    case = f"{GPT2}->{LLAMA}/twin/cpu/fp32/bare/states_carried"
    (record,) = (one for one in paired.records() if one["case"] == case)
    assert (record["family"], record["area"]) == ("gpt2->llama", "pairs")


def test_the_node_id_of_a_pair_runs_exactly_that_case(paired):
    part = f"{PART}-nf4-states_carried"
    paired.run(f"test_suite.py::test_check[{part}]").assert_outcomes(passed=1)
    assert paired.loads() == {f"{PART}-nf4": 1}


def test_keywords_and_modes_narrow_pairs_too(paired):
    ids = collected(paired.run("--collect-only", "-q", "-k", "to-llama", "--compat-modes", "nf4"))
    assert ids == [f"{PART}-nf4-states_carried"]


def test_one_model_brings_no_pair(paired):
    ids = collected(paired.run("--collect-only", "-q", "--compat-model", "gpt2"))
    assert ids
    assert not any("-to-" in part for part in ids)


def test_both_models_bring_their_pair(paired):
    options = ("--compat-model", "gpt2", "--compat-model", "llama-3.2-1b")
    ids = collected(paired.run("--collect-only", "-q", *options, "-m", "pairs"))
    assert len(ids) == 6


def test_any_two_models_run_as_a_pair_and_nothing_else_does(project):
    project.run("--compat-pair", "llama-3.2-1b", "gpt2").assert_outcomes(passed=6)
    assert {case.partition("/twin/")[0] for case in project.outcomes()} == {f"{LLAMA}->{GPT2}"}


def test_the_command_of_a_pair_that_is_not_listed_finds_it_again(project):
    project.run("--compat-pair", "llama-3.2-1b", "gpt2", "--compat-modes", "fp32")
    (record,) = project.records()
    assert record["reproduce"].endswith("--compat-pair llama-3.2-1b gpt2")
    (part,) = re.findall(r"pytest '(.*?)'", record["reproduce"])
    again = project.run(part, "--compat-pair", "llama-3.2-1b", "gpt2")
    again.assert_outcomes(passed=1)


def test_a_pair_runs_beside_the_models_that_are_asked_for(project):
    options = ("--compat-model", "gpt2", "--compat-pair", "gpt2", "llama-3.2-1b")
    ids = collected(project.run("--collect-only", "-q", *options, "--compat-modes", "fp32"))
    assert ids == [
        "gpt2-twin-cpu-fp32-answers",
        "gpt2-twin-cpu-fp32-hooks_fire",
        f"{PART}-fp32-states_carried",
    ]


def test_an_unknown_model_in_a_pair_is_a_usage_error(project):
    result = project.run("--compat-pair", "gpt3", "llama-3.2-1b")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--compat-pair: no model 'gpt3'*did you mean 'gpt2'?*"])


def test_the_last_failed_pair_runs_again(paired):
    paired.behave(states_carried="fail")
    paired.run_cached("-m", "pairs", "--compat-modes", "nf4").assert_outcomes(failed=1)
    paired.behave()
    paired.run_cached("--lf").assert_outcomes(passed=1)


def test_a_persons_own_test_is_given_models_only(paired):
    paired.pytester.makepyfile(test_mine="def test_mine(subject): assert subject.spec.config")
    ids = collected(paired.run("--collect-only", "-q", "test_mine.py"))
    assert len(ids) == 12


def test_workers_keep_a_pair_together(paired):
    paired.run_apart("-n", "2").assert_outcomes(passed=32)
    assert set(paired.loads().values()) == {1}


def test_a_pair_that_dies_is_named(paired):
    paired.behave(**{f"{PART}-nf4-states_carried": "die"})
    paired.run_apart("-n", "1", "-m", "pairs").assert_outcomes(passed=5, failed=1)
    crashed = [one for one in paired.records() if one["outcome"] == "crashed"]
    assert [(one["check"], one["family"]) for one in crashed] == [("states_carried", "gpt2->llama")]


def test_a_known_failure_of_a_pair_is_expected(project):
    project.registry(pairs=[(GPT2, LLAMA)])
    file = project.path / "models.yaml"
    row = "\n".join(f"      {key}: {value!r}" for key, value in ROW.items())
    file.write_text(f"{file.read_text()}  known_failures:\n    -{row[5:]}\n")
    project.behave(states_carried="fail")
    project.run("-m", "pairs").assert_outcomes(xfailed=1, failed=5)


def test_a_row_of_a_pair_that_can_match_no_case_stops_the_run(project):
    project.registry(pairs=[(GPT2, LLAMA)])
    file = project.path / "models.yaml"
    row = "\n".join(
        f"      {key}: {value!r}" for key, value in (ROW | {"check": "answers"}).items()
    )
    file.write_text(f"{file.read_text()}  known_failures:\n    -{row[5:]}\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*this known failure can match no case*"])


@pytest.fixture
def folders(project):
    """Two checkpoint folders, as small as headers get."""
    for name in ("oak", "pine"):
        folder = project.path / name
        folder.mkdir()
        config = {
            "model_type": "llama",
            "hidden_size": 4,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "num_key_value_heads": 1,
            "vocab_size": 8,
        }
        (folder / "config.json").write_text(json.dumps(config))
        header = json.dumps(
            {"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
        ).encode()
        content = len(header).to_bytes(8, "little") + header + bytes(4)
        (folder / "model.safetensors").write_bytes(content)
    return project


def test_two_folders_run_as_a_pair(folders):
    folders.run("--compat-pair", "./oak", "./pine", "--compat-report").assert_outcomes(passed=6)
    assert {case.partition("/local/cpu")[0] for case in folders.outcomes()} == {
        "local/oak->local/pine"
    }
    assert "oak → pine" in (folders.path / "reports" / "index.html").read_text()


def test_the_command_of_two_folders_names_them(folders):
    folders.run("--compat-pair", "oak", "pine", "--compat-modes", "fp32")
    (record,) = folders.records()
    assert re.search(r"--compat-pair \S*oak \S*pine$", record["reproduce"])


def test_a_folder_and_a_name_are_no_pair(folders):
    result = folders.run("--compat-pair", "gpt2", "./pine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--compat-pair: 'gpt2' './pine': two models of the registry*"])


def test_two_folders_of_one_name_are_refused(folders):
    other = folders.path / "other"
    other.mkdir()
    (folders.path / "pine").rename(other / "oak")
    result = folders.run("--compat-pair", "./oak", "./other/oak", "--compat-modes", "fp32")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*two folders are called 'oak': rename one of them*"])
