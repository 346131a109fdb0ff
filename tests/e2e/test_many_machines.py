"""A plan made, its jobs run one by one as a cluster would, and what is missing named."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compat.cli.app import app
from compat.cli.sharding import command, index_of
from compat.cluster.plan import read_plan
from compat.results.read import read_records
from compat.results.record import CaseRecord
from compat.targets.selection import SelectionError

EXAMPLE = Path(__file__).parents[2] / "docs" / "slurm.sh"


@pytest.fixture
def compat(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(project.path)

    def run(*arguments: str):
        return CliRunner().invoke(
            app, [*arguments, "--registry", str(project.path / "models.yaml")]
        )

    return run


@pytest.fixture
def plan(compat, project):
    result = compat("plan", "--machine", "plain=cpu", "-m", "fp32", "--jobs", "2")
    assert result.exit_code == 0, result.output
    return read_plan(project.path / "plan.json")


def typed(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`compat` as typed, with the suite itself, in a folder of its own."""
    program = "from compat.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def run_job(project, plan, index: int):
    """The command of `run-shard`, with the fake suite of the project in the place of the real."""
    line = command(Path("plan.json"), plan, plan.job(index), ["--compat-records=records"])
    arguments = line[line.index("compat.suite") + 1 :]
    return project.run(*arguments, "test_suite.py")


def test_jobs_share_the_targets_out_and_lose_none(project, plan):
    assert [len(job.targets) for job in plan.jobs] == [1, 1]
    for job in plan.jobs:
        run_job(project, plan, job.index)
    records = read_records(project.path / "records").records
    ran = {record.case.rsplit("/", 2)[0] for record in records if isinstance(record, CaseRecord)}
    assert ran == {
        "openai-community/gpt2/twin/cpu/fp32",
        "meta-llama/Llama-3.2-1B/twin/cpu/fp32",
    }


def test_the_report_names_the_job_that_never_ran(project, tmp_path):
    (tmp_path / "models.yaml").write_text((project.path / "models.yaml").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\ncompat_registry = models.yaml\n")
    registry = ("--registry", "models.yaml")
    report = ("report", "reports/runs", "--plan", "plan.json", "-o", "page", *registry)
    planned = typed(
        tmp_path, "plan", "--machine", "plain=cpu", "-m", "structure", "--jobs", "2", *registry
    )
    assert planned.returncode == 0, planned.stderr
    first = typed(tmp_path, "run-shard", "-q", COMPAT_SHARD="0")
    assert first.returncode == 0, first.stdout + first.stderr
    with_a_gap = typed(tmp_path, *report)
    assert with_a_gap.returncode == 1
    assert "none of its checks has a result (run job 1 of the plan, on plain)" in with_a_gap.stderr
    assert "job 1 of the plan" in (tmp_path / "page" / "index.html").read_text()
    typed(tmp_path, "run-shard", "--index", "1", "-q")
    whole = typed(tmp_path, *report)
    assert whole.returncode == 0, whole.stderr


def test_a_plan_of_another_registry_is_refused(project, plan):
    project.registry(gpt2={"slug": "gpt-two"})
    job = next(job.index for job in plan.jobs if job.targets[0].startswith("gpt2"))
    result = run_job(project, plan, job)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the registry has no gpt2-twin-cpu-fp32*made for another one*"])


def test_a_workflow_gets_the_matrix(compat, project, monkeypatch):
    output = project.path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    compat("plan", "--machine", "plain=cpu", "-m", "fp32", "--github")
    name, _, text = output.read_text().partition("=")
    assert name == "matrix"
    assert [job["machine"] for job in json.loads(text)["include"]] == ["plain", "plain"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--machine", "24GB"], "is no machine"),
        (["--machine", "a=cpu", "-k", "no-such-thing"], "nothing is selected"),
        (["--machine", "a=cpu", "--records", "nowhere"], "no such file or folder"),
    ],
)
def test_what_can_not_be_planned_is_one_clear_line(compat, arguments, message):
    result = compat("plan", *arguments)
    assert isinstance(result.exception, SelectionError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    "variable", ["COMPAT_SHARD", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"]
)
def test_a_cluster_says_which_job_it_is(variable):
    assert index_of({variable: "3"}) == 3


def test_a_job_that_nobody_names_is_refused():
    with pytest.raises(SelectionError, match="which job"):
        index_of({})
    with pytest.raises(SelectionError, match="no number"):
        index_of({"COMPAT_SHARD": "x"})


def test_the_example_for_slurm_is_a_command_that_works(project, plan):
    lines = EXAMPLE.read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("compat run-shard"))
    arguments = shlex.split(line)[1:]
    done = typed(project.path, *arguments, "--collect-only", "-q", SLURM_ARRAY_TASK_ID="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-twin-cpu-fp32-" in done.stdout
