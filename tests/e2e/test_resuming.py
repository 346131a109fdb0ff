"""`--compat-resume`: what earlier records have settled is not run again, and nothing is lost."""

from __future__ import annotations

import json

import pytest

GPT2 = "openai-community/gpt2/twin/cpu/fp32/bare/"


def run(project, *arguments: str):
    return project.run("--compat-modes=fp32", *arguments)


def of_the_newest_run(project, kind: str) -> list[str]:
    runs = project.path / "reports" / "runs"
    newest = max(runs.iterdir(), key=lambda folder: folder.stat().st_ctime_ns)
    lines = [json.loads(line) for file in newest.glob("*.jsonl") for line in file.open()]
    return [line["case"] for line in lines if line["kind"] == kind]


def ran(project) -> list[str]:
    """The cases that the newest run has run itself."""
    return of_the_newest_run(project, "case_start")


def kept(project) -> set[str]:
    """The cases that its records hold."""
    return set(of_the_newest_run(project, "case"))


def test_what_passed_is_not_run_again_and_its_records_are_carried_over(project):
    run(project)
    everything = kept(project)
    result = run(project, "--compat-resume")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"settled by earlier records*{len(everything)} cases"])
    assert ran(project) == []
    assert kept(project) == everything


def test_an_interrupted_run_goes_on(project):
    first = run(project, "-k", "gpt2")
    assert first.ret == pytest.ExitCode.OK
    run(project, "--compat-resume")
    assert ran(project)
    assert not any(case.startswith(GPT2) for case in ran(project))
    assert any(case.startswith(GPT2) for case in kept(project))


def test_what_failed_runs_again(project):
    project.behave(answers="fail")
    run(project)
    failed = {case for case, outcome in project.outcomes().items() if outcome == "failed"}
    assert failed
    result = run(project, "--compat-resume")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert set(ran(project)) == failed


def test_another_registry_entry_settles_nothing_of_its_model(project):
    run(project)
    project.registry(gpt2={"aliases": ["my-gpt2"]})
    run(project, "--compat-resume")
    assert ran(project)
    assert all(case.startswith("openai-community/gpt2/") for case in ran(project))


def test_another_library_version_settles_nothing(project, monkeypatch):
    run(project)
    everything = set(ran(project))
    for file in (project.path / "reports" / "runs").rglob("*.jsonl"):
        lines = [json.loads(line) for line in file.open()]
        for line in lines:
            if line["kind"] == "env":
                line["packages"]["transformers"] = "4.0.0"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(project, "--compat-resume")
    assert set(ran(project)) == everything


def test_workers_agree_on_what_is_settled(project):
    run(project, "-k", "gpt2")
    result = project.run_apart("--compat-modes=fp32", "--compat-resume", "-n2")
    assert result.ret == pytest.ExitCode.OK
    assert not any(case.startswith(GPT2) for case in ran(project))
    again = project.run_apart("--compat-modes=fp32", "--compat-resume", "-n2")
    assert again.ret == pytest.ExitCode.OK
    again.stdout.fnmatch_lines(["settled by earlier records*"])
    assert ran(project) == []


def test_a_place_without_records_is_refused(project):
    result = run(project, "--compat-resume=nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--compat-resume: no such file or folder: nowhere"])
