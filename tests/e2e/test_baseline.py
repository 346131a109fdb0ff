"""A run compared with an earlier one, and what GitHub is told of it."""

from __future__ import annotations

import pytest

ONE = ("-k", "gpt2 and fp32")


@pytest.fixture
def baseline(project):
    """The folder of a run in which everything passed."""
    folder = project.path / "before"
    project.run(*ONE, "--compat-records", str(folder))
    return folder


def test_what_regressed_since_the_baseline_is_said(project, baseline):
    project.behave(answers="fail")
    result = project.run(*ONE, "--compat-baseline", str(baseline))
    result.stdout.fnmatch_lines(
        [
            "*compat: since the baseline*",
            "1 regressed (*cases compared*",
            "regressed: 1 case",
            "*answers*passed → failed*",
        ]
    )
    assert result.ret == 1


def test_on_workers_it_is_said_once(project, baseline):
    project.behave(answers="fail")
    result = project.run_apart(*ONE, "--compat-baseline", str(baseline), "-n", "2")
    assert result.stdout.str().count("since the baseline") == 1
    result.stdout.fnmatch_lines(["regressed: 1 case"])


def test_what_was_not_selected_this_time_is_not_said_to_be_removed(project):
    folder = project.path / "before"
    project.run("-k", "fp32", "--compat-records", str(folder))
    result = project.run(*ONE, "--compat-baseline", str(folder))
    result.stdout.fnmatch_lines(["nothing changed (* not run this time)"])
    assert result.ret == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gone.jsonl", "--compat-baseline: no such file or folder: gone.jsonl"),
        ("models.yaml", "--compat-baseline: *models.yaml holds no results"),
    ],
)
def test_a_baseline_that_says_nothing_is_a_usage_error(project, given, said):
    result = project.run(*ONE, "--compat-baseline", given)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}"])
    assert not project.records()


def test_github_is_told_where_it_asks(project, baseline, monkeypatch):
    summary = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.behave(answers="fail")
    project.run(*ONE, "--compat-baseline", str(baseline))
    text = summary.read_text()
    assert "Compatibility of language models" in text
    assert "1 regressed" in text
    assert not (project.path / "reports" / "index.html").exists()
