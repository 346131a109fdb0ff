"""`compat twin MODEL --full -o DIR`, and the suite over what it writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compat.cli.app import app
from compat.weights.full import is_unfinished
from compat.weights.full import write as writing

MODEL = "tiny-random-llamaforcausallm"
"""Its full size is 4 MB."""
SUITE = "from compat.suite import test_check\n"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("full") / "opt"
    result = CliRunner().invoke(app, ["twin", MODEL, "--full", "-o", str(folder)])
    assert result.exit_code == 0, result.output
    assert "1,032,272 parameters" in result.output
    assert f"pytest --compat-model {folder}" in result.output
    return folder


@pytest.mark.parametrize("arguments", [(MODEL,), ("--all", "-o", "here")])
def test_full_goes_with_one_model_and_a_folder(arguments):
    result = CliRunner().invoke(app, ["twin", *arguments, "--full"])
    assert result.exit_code == 2


def test_the_suite_runs_over_it_as_over_any_folder(written, pytester):
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest_subprocess(
        f"--compat-model={written}", "--compat-modes=fp16,nf4", "-m=loading or memory", timeout=300
    )
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 8
    assert "failed" not in outcomes
    assert "skipped" not in outcomes


def test_interrupted_it_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writing, "save_file", interrupt)
        result = CliRunner().invoke(app, ["twin", MODEL, "--full", "-o", str(tmp_path / "full")])
    assert result.exit_code == 130
    assert "the same command goes on where it was" in result.output
    assert is_unfinished(tmp_path / "full")


def test_a_full_disk_is_one_line_that_says_what_to_do(tmp_path, monkeypatch):
    def fill(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "save_file", fill)
    result = CliRunner().invoke(app, ["twin", MODEL, "--full", "-o", str(tmp_path / "full")])
    assert result.exit_code == 1
    assert "compat twin: disk-full" in result.output
    assert "Traceback" not in result.output
    shutil.rmtree(tmp_path / "full")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    result = CliRunner().invoke(app, ["twin", MODEL, "--full", "-o", str(tmp_path)])
    assert result.exit_code == 1
    assert "is not empty" in " ".join(result.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
