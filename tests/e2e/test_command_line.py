"""`compat`, as typed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from compat.cli.app import app
from compat.targets.selection import SelectionError
from compat.weights.twin import Made


@pytest.fixture
def compat(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str):
        return CliRunner().invoke(
            app, [*arguments, "--registry", str(project.path / "models.yaml")]
        )

    return run


def apart(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from compat.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_list_shows_what_pytest_would_run_and_how_much(compat):
    result = compat("list", "-m", "fp32 or structure")
    assert result.exit_code == 0
    assert "gpt2" in result.output
    assert "llama-3.2-1b" in result.output
    assert "4 targets of 2 models" in result.output


def test_list_counts_the_cases_that_pytest_collects(project, compat):
    project.pytester.makeconftest("")
    collected = project.run_apart("--collect-only", "-q", "-m", "not hooks", "-k", "gpt2")
    (line,) = [line for line in collected.outlines if "tests collected" in line]
    listed = compat("list", "-m", "not hooks", "-k", "gpt2").output
    assert f"{line.split()[0]} cases on 7 targets of 1 models" in listed


def test_list_says_what_is_blocked_here_and_who_can_help(compat):
    result = compat("list", "-m", "gpu", "-k", "llama")
    assert "blocked here: " in result.output
    assert "no GPU; run on a machine with an NVIDIA GPU" in result.output


def test_list_imports_no_torch():
    code = (
        "import sys\nfrom compat.cli.app import app\n"
        "try: app(['list', '-m', 'hub and fp32', '-k', 'gpt2'])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "False False", result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--modes", "fp3"), "compat: --modes: 'fp3' is none of fp32, bf16"),
        (("list", "--model", "gtp2"), "compat: no model 'gtp2' in the registry; did you mean"),
        (("twin", "gtp2"), "compat: no model 'gtp2' in the registry; did you mean"),
        (("list", "--registry", "none.yaml"), "compat: none.yaml: no such registry file"),
    ],
)
def test_what_a_person_got_wrong_is_one_line(arguments, message):
    result = apart(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_an_expression_that_cannot_be_read_is_a_usage_error():
    result = apart("list", "-m", "gpu and")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_schema_is_that_of_the_registry():
    schema = json.loads(apart("schema").stdout)
    assert "models" in schema["properties"]


def test_report_merges_the_records_of_runs(project, compat):
    project.run("-k", "gpt2 and fp32")
    project.run("-k", "llama and fp32")
    runs, folder = project.path / "reports" / "runs", project.path / "page"
    result = compat("report", str(runs), "-o", str(folder))
    assert result.exit_code == 0
    merged = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert len({line["run"] for line in merged}) == 2
    assert "llama-3.2-1b" in (folder / "index.html").read_text().lower()


def test_report_of_what_is_not_there_says_so(compat, tmp_path):
    result = compat("report", str(tmp_path / "none"), "-o", str(tmp_path / "page"))
    assert result.exit_code == 1
    assert not (tmp_path / "page").exists()


def test_doctor_names_what_is_here(compat):
    result = compat("doctor")
    assert result.exit_code == 0
    for name in ("torch", "memory", "gpu", "twins", "hub token"):
        assert name in result.output


def test_twin_asks_for_a_model_or_for_all(compat):
    assert compat("twin").exit_code == 2
    assert compat("twin", "gpt2", "--all").exit_code == 2
    assert compat("twin", "--all", "-o", "x").exit_code == 2


def test_twin_of_all_says_which_did_not_learn_and_goes_on(compat, monkeypatch):
    def teach(specs, workers):
        assert workers == 3
        for spec in specs:
            yield Made(spec.id, None, 0.1, problem=f"{spec.slug} recites nothing")

    monkeypatch.setattr("compat.cli.twins.teach_all", teach)
    result = compat("twin", "--all", "--workers", "3")
    assert result.exit_code == 1
    assert "gpt2 recites nothing" in result.output
    assert "llama-3.2-1b recites nothing" in result.output
    assert "2 models, 2 did not learn" in result.output


def test_a_model_that_can_have_no_twin_is_no_failure_of_all(compat, monkeypatch):
    def teach(specs, workers):
        yield Made("a/b", None, 0.0, problem="runs on code of its own", excused=True)

    monkeypatch.setattr("compat.cli.twins.teach_all", teach)
    result = compat("twin", "--all")
    assert result.exit_code == 0
    assert "no twin: runs on code of its own" in result.output


def test_report_names_planned_jobs_without_a_result_and_fails(project, compat):
    project.run("-k", "gpt2 and fp32")
    (file,) = (project.path / "reports" / "runs").rglob("*.jsonl")
    lines = file.read_text().splitlines()
    kept = [line for line in lines if '"execution"' not in line]
    file.write_text("\n".join(kept) + '\n{"kind": "case", "run"')
    result = compat("report", str(file), "-o", str(project.path / "page"))
    assert result.exit_code == 1
    assert "openai-community/gpt2/twin/cpu/fp32/bare: none of its checks" in result.output
    assert "the last line is torn" in result.output
    assert (project.path / "page" / "index.html").exists()


def test_report_since_a_baseline_without_results_is_a_usage_error(project, compat, tmp_path):
    project.run("-k", "gpt2 and fp32")
    runs, registry = str(project.path / "reports" / "runs"), str(project.path / "models.yaml")
    result = compat("report", runs, "-o", str(tmp_path / "page"), "--baseline", registry)
    assert isinstance(result.exception, SelectionError)
    assert not (tmp_path / "page").exists()


def test_report_is_written_for_dashboards_where_asked(project, compat, tmp_path):
    project.run("-k", "gpt2 and fp32")
    runs, file = str(project.path / "reports" / "runs"), tmp_path / "ctrf.json"
    assert compat("report", runs, "-o", str(tmp_path / "page"), "--ctrf", str(file)).exit_code == 0
    assert json.loads(file.read_text())["results"]["summary"]["passed"] == 2


def runs_of(project, *runs: str) -> list[str]:
    """Run the gpt2 twin in fp32 once for each behaviour of `answers`; the files of the runs."""
    files: list[str] = []
    for number, verb in enumerate(runs):
        project.behave(answers=verb)
        folder = project.path / f"runs{number}"
        project.run("-k", "gpt2 and fp32", "--compat-records", str(folder))
        files.append(str(folder))
    return files


def test_diff_says_what_regressed_and_fails(project, compat, tmp_path):
    old, new = runs_of(project, "pass", "fail")
    result = compat("diff", old, new)
    assert result.exit_code == 1
    assert "regressed: 1 case" in result.output
    assert "answers is wrong by 0.5" in result.output
    back = compat("diff", new, old)
    assert back.exit_code == 0
    assert "fixed: 1 case" in back.output


def test_diff_is_written_in_every_form_that_was_asked_for(project, compat, tmp_path):
    old, new = runs_of(project, "pass", "fail")
    forms = {name: tmp_path / f"diff.{name}" for name in ("markdown", "html", "json")}
    compat("diff", old, new, *(part for name in forms for part in (f"--{name}", str(forms[name]))))
    assert "regressed" in forms["markdown"].read_text()
    assert forms["html"].read_text().startswith("<!doctype html>")
    assert json.loads(forms["json"].read_text())["fails"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("diff", "none.jsonl", "none.jsonl"), "compat: no such file or folder: none.jsonl"),
        (("diff", "models.yaml", "models.yaml"), "compat: models.yaml holds no results"),
    ],
)
def test_a_diff_of_no_results_is_a_usage_error(arguments, message):
    result = apart(*arguments)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == message


def test_diff_of_an_unknown_environment_says_which_there_are(project, compat):
    (runs,) = runs_of(project, "pass")
    result = compat("diff", runs, "--environments", "here", "there")
    assert isinstance(result.exception, SelectionError)
    assert "no environment 'here'" in str(result.exception)
