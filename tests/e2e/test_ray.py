"""A plan on a local Ray cluster of several nodes, with fake GPUs, and with deaths in mid-run.

A check that is told to wait says where it runs, and goes on when the test lets it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from compat.cluster.plan import read_plan
from compat.results.completeness import missing_jobs
from compat.results.read import read_records
from compat.results.record import CaseRecord

pytest.importorskip(
    "ray", reason="Ray is an extra, needed here: python -m pip install 'ray>=2.60,<3'"
)

PATIENCE = 150
"""Seconds until a test gives up; what it waits for takes a tenth of that."""
GPT2, LLAMA = (
    "openai-community/gpt2/twin/cpu/fp32/bare",
    "meta-llama/Llama-3.2-1B/twin/cpu/fp32/bare",
)
EACH_ONCE = Counter(
    f"{target}/{check}" for target in (GPT2, LLAMA) for check in ("answers", "hooks_fire")
)
WAITING = """
import os, time
from pathlib import Path

HERE = Path(__file__).parent


def wait():
    (HERE / f"waiting-{os.getpid()}").touch()
    while not (HERE / "go").exists():
        time.sleep(0.05)


def show():
    (HERE / f"gpu-{os.getpid()}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
    wait()


FAULTS = {"wait": wait, "show": show}
"""


@pytest.fixture(scope="module")
def head():
    """A cluster whose head has nothing to offer: nodes are added by the tests."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        yield made
        made.shutdown()


@pytest.fixture
def nodes(head):
    """Adds nodes, which go with the test."""
    added = []

    def add(count: int = 1, **resources) -> list:
        added.extend(head.add_node(**resources) for _ in range(count))
        head.wait_for_nodes()
        return added

    yield add
    for node in added:
        if node in head.worker_nodes:
            head.remove_node(node, allow_graceful=False)


@pytest.fixture
def waiting(project):
    """The project, whose job with gpt2 waits in its second check."""
    (project.path / "faults.py").write_text(WAITING)
    project.behave(**{"gpt2-twin-cpu-fp32-hooks_fire": "wait"})
    return project


def plan(project, machine: str = "plain=cpu") -> None:
    arguments = ("plan", "--machine", machine, "-m", "fp32 and cpu", "--jobs", "2")
    with compat(project, *arguments, "--registry", "models.yaml") as planning:
        assert planning.wait(PATIENCE) == 0, said(project)


@contextmanager
def compat(project, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`compat` as typed in the folder of the project."""
    with (project.path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", "from compat.cli import main; main()", *arguments],
            cwd=project.path,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run_on(head, project) -> contextmanager:
    return compat(project, "run", "--ray", head.address, "-q", "-p", "no:cacheprovider")


def said(project) -> str:
    return (project.path / "stderr").read_text()


def until(happened: Callable[[], object]):
    """Wait for something to happen, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.05)
    return found


def waiting_process(project, number: int = 1) -> psutil.Process:
    """The pytest that waits, once so many have done so."""
    files = until(lambda: len(own := list(project.path.glob("waiting-*"))) == number and own)
    newest = max(files, key=lambda file: file.stat().st_mtime)
    return psutil.Process(int(newest.name.partition("-")[2]))


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def records(project):
    return read_records(project.path / "reports" / "runs").records


def executed(project) -> Counter[str]:
    """How often each case was executed, by the records that have come here."""
    found = [record for record in records(project) if isinstance(record, CaseRecord)]
    return Counter(case for _, case in {(record.execution, record.case) for record in found})


def let_go(project) -> None:
    (project.path / "go").touch()


def test_jobs_run_beside_each_other_each_on_a_gpu_of_its_own(head, nodes, waiting):
    waiting.behave(answers="show")
    plan(waiting, "gpu-24=24GB")
    nodes(num_cpus=2, resources={"other": 2})
    nodes(num_cpus=2, num_gpus=2, resources={"gpu-24": 2})
    with run_on(head, waiting) as running:
        gpus = until(lambda: len(own := list(waiting.path.glob("gpu-*"))) == 2 and own)
        let_go(waiting)
        assert running.wait(PATIENCE) == 0, said(waiting)
    assert {file.read_text() for file in gpus} == {"0", "1"}
    assert executed(waiting) == EACH_ONCE


def test_of_a_node_that_dies_nothing_recorded_is_lost_nor_run_again(head, nodes, waiting):
    plan(waiting)
    both = nodes(2, num_cpus=1, resources={"plain": 1})
    with run_on(head, waiting) as running:
        pytest_there = waiting_process(waiting)
        raylet = pytest_there.parent().ppid()
        (node,) = (one for one in both if one.all_processes["raylet"][0].process.pid == raylet)
        until(lambda: executed(waiting)[f"{GPT2}/answers"])
        head.remove_node(node, allow_graceful=False)
        until(lambda: "goes on in a fresh worker" in said(waiting))
        until(lambda: gone(pytest_there))
        let_go(waiting)
        assert running.wait(PATIENCE) == 0, said(waiting)
    assert executed(waiting) == EACH_ONCE
    assert waiting.loads() == {"gpt2-twin-cpu-fp32": 2, "llama-3.2-1b-twin-cpu-fp32": 1}
    assert not missing_jobs(records(waiting))


def test_a_job_that_is_killed_twice_is_lost_and_named_and_the_others_go_on(head, nodes, waiting):
    plan(waiting)
    nodes(2, num_cpus=1, resources={"plain": 1})
    with run_on(head, waiting) as running:
        first = waiting_process(waiting)
        first.parent().kill()
        second = waiting_process(waiting, 2)
        assert gone(first), "what a killed worker has started must not share the GPU with the next"
        second.kill()
        assert running.wait(PATIENCE) == 1, said(waiting)
    assert "lost: pytest was killed by signal 9" in said(waiting)
    assert executed(waiting) == EACH_ONCE - Counter([f"{GPT2}/hooks_fire"])


def test_what_waits_for_the_only_node_of_its_kind_does_not_wait_for_ever(head, nodes, waiting):
    plan(waiting)
    (only,) = nodes(num_cpus=1, resources={"plain": 1})
    waiting.behave(answers="wait")
    with run_on(head, waiting) as running:
        waiting_process(waiting)
        head.remove_node(only, allow_graceful=False)
        assert running.wait(PATIENCE) == 1, said(waiting)
    assert said(waiting).count("no node advertises plain") == 2


def test_ctrl_c_ends_what_runs_keeps_the_records_and_leaves_them_fit_for_a_report(
    head, nodes, waiting
):
    plan(waiting)
    nodes(2, num_cpus=1, resources={"plain": 1})
    with run_on(head, waiting) as running:
        there = waiting_process(waiting)
        until(lambda: executed(waiting)[f"{GPT2}/answers"])
        running.send_signal(signal.SIGINT)
        assert running.wait(PATIENCE) == 130, said(waiting)
    until(lambda: gone(there))
    assert "compat report reports/runs --plan plan.json" in said(waiting)
    arguments = ("report", "reports/runs", "--plan", "plan.json", "--registry", "models.yaml")
    with compat(waiting, *arguments) as report:
        assert report.wait(PATIENCE) == 1
    assert (waiting.path / "reports" / "index.html").exists()
    assert executed(waiting)[f"{GPT2}/answers"] == 1


def test_what_no_node_can_run_is_named_before_anything_is_submitted(head, nodes, waiting):
    plan(waiting, "gpu-24=2x24GB")
    nodes(num_cpus=2, num_gpus=1, resources={"gpu-24": 1})
    with run_on(head, waiting) as running:
        assert running.wait(PATIENCE) == 2
    for index in (job.index for job in read_plan(waiting.path / "plan.json").jobs):
        assert f"job {index}: it needs 2 GPUs" in said(waiting)
    assert not (waiting.path / "reports").exists()


def test_a_job_fails_the_run_as_pytest_does(head, nodes, project: Path):
    project.behave(answers="fail")
    plan(project)
    nodes(num_cpus=1, resources={"plain": 1})
    with run_on(head, project) as running:
        assert running.wait(PATIENCE) == 1
    assert "pytest ended with 1" in said(project)
    assert executed(project) == EACH_ONCE
