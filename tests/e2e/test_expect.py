"""`compat expect`: the registry follows what runs have found, where a person says why."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from compat.cli.app import app

ONE = ("-k", "gpt2 and fp32")
ROW = {
    "check": "answers",
    "raises": {"type": "AssertionError", "match": "is wrong"},
    "blame": "upstream",
    "reason": "it rounds",
}


@pytest.fixture
def expect(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str):
        runs = str(project.path / "reports" / "runs")
        registry = str(project.path / "models.yaml")
        return CliRunner().invoke(app, ["expect", runs, "--registry", registry, *arguments])

    return run


def text_of(project) -> str:
    return (project.path / "models.yaml").read_text()


def test_a_row_that_has_to_go_is_shown_and_goes_with_update(project, expect):
    project.registry(gpt2={"known_failures": [ROW]})
    assert project.run(*ONE).ret == 1  # it passes, and a row says that it fails
    before = text_of(project)
    shown = expect()
    assert shown.exit_code == 1
    assert "-  - check: answers" in shown.output.replace("    -", "  -")
    assert text_of(project) == before
    assert expect("--update").exit_code == 0
    assert "known_failures" not in text_of(project)
    assert project.run(*ONE).ret == 0


def test_a_failure_gets_its_row_from_what_a_person_says(project, expect):
    project.behave(answers="fail")
    assert project.run(*ONE).ret == 1
    before = text_of(project)
    asked = expect("--update")
    assert asked.exit_code == 1
    assert "for a person to say" in asked.output
    assert text_of(project) == before
    said = ("--blame", "model", "--reason", "it can't count")
    assert expect(*said).exit_code == 1
    assert text_of(project) == before
    assert expect(*said, "--update").exit_code == 0
    again = project.run(*ONE)
    assert again.ret == 0
    again.stdout.fnmatch_lines(["known failure: 1 because it can't count; model has to act"])


def test_only_the_cases_that_were_chosen_get_a_row(project, expect):
    project.behave(answers="fail")
    project.run(*ONE)
    said = ("--blame", "model", "--reason", "it can't count")
    before = text_of(project)
    expect(*said, "--update", "--cases", "*/no_such_check")
    assert text_of(project) == before


def test_blame_without_a_reason_is_a_usage_error(project, expect):
    project.run(*ONE)
    assert expect("--blame", "model").exit_code == 2


def test_where_all_is_as_expected_there_is_nothing_to_say(project, expect):
    project.run(*ONE)
    result = expect()
    assert (result.exit_code, result.output) == (0, "")
