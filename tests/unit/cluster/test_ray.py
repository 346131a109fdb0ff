"""What jobs take of nodes, and what the command says where Ray or the plan is not what it needs."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from compat.cli.ray_command import run_on_ray, with_address
from compat.cluster.plan import Job, Plan, PlannedMachine, write_plan
from compat.cluster.ray_demand import Demand, infeasible, why_nowhere
from compat.cluster.ray_driver import INSTALL, ClusterError, connected
from compat.cluster.ray_task import LARGEST, Tail, Task, run_job
from compat.targets.selection import SelectionError

SMALL, LARGE = Demand("gpu-24", gpus=1, cpus=1), Demand("gpu-80", gpus=2, cpus=4)
JOB = Job(index=0, machine="gpu-24", seconds=1, targets=("gpt2-twin-cpu-fp32",))


def node(**resources: float) -> dict[str, float]:
    return {name.replace("_", "-"): amount for name, amount in resources.items()}


def test_a_job_takes_the_gpus_of_its_machine_and_one_of_its_label():
    machines = (PlannedMachine(label="gpu-24", gpus=(24 * 10**9,) * 2),)
    demand = Demand.of(Plan(machines=machines, jobs=(JOB,)), JOB, cpus=3)
    assert demand.resources == {"gpu-24": 1, "GPU": 2, "CPU": 3}


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([], "no node advertises gpu-80: start those that are one with ray start"),
        ([node(gpu_24=4, GPU=4, CPU=8)], "no node advertises gpu-80"),
        ([node(gpu_80=1, GPU=1, CPU=8)], "needs 2 GPUs, 4 CPUs, and gpu-80 has 1 GPUs, 8 CPUs"),
        ([node(gpu_80=1, GPU=2, CPU=2)], "needs 2 GPUs, 4 CPUs, and gpu-80 has 2 GPUs, 2 CPUs"),
        ([node(gpu_80=1, GPU=1, CPU=4), node(GPU=8, CPU=8)], "and gpu-80 has 1 GPUs, 4 CPUs"),
    ],
)
def test_what_one_node_alone_has_not_got_no_job_gets(nodes, why):
    assert why in (why_nowhere(LARGE, nodes) or "")


def test_only_the_jobs_without_a_node_are_named():
    nodes = [node(gpu_24=2, GPU=2, CPU=8)]
    assert list(infeasible({0: SMALL, 1: LARGE}, nodes)) == [1]


def test_a_label_that_is_a_resource_of_rays_own_is_refused():
    assert "plan with another label" in (why_nowhere(Demand("GPU", 1, 1), [node(GPU=8)]) or "")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["--ray"], ["--ray=auto"]),
        (["--ray", "--plan", "p"], ["--ray=auto", "--plan", "p"]),
        (["--ray", "head:6379", "-k", "x"], ["--ray", "head:6379", "-k", "x"]),
        (["--ray=head:6379"], ["--ray=head:6379"]),
    ],
)
def test_the_address_may_be_left_out(typed, read):
    assert with_address(typed) == read


def test_the_tail_of_records_is_read_once_in_pieces_that_ray_sends_at_once(tmp_path):
    file = tmp_path / "run" / "main.jsonl"
    file.parent.mkdir()
    file.write_bytes(b"a" * (LARGEST + 1))
    tail = Tail(tmp_path)
    assert [len(piece.content) for piece in tail.pieces()] == [LARGEST, 1]
    with file.open("ab") as appended:
        appended.write(b"more")
    assert [(piece.file, piece.content) for piece in tail.pieces()] == [("run/main.jsonl", b"more")]
    assert not list(tail.pieces())


def test_of_a_large_plan_only_the_own_job_travels(tmp_path):
    other = JOB.model_copy(update={"index": 1})
    task = Task.of(Plan(jobs=(JOB, other)), other, tmp_path, ["-q"])
    assert task.plan.jobs == (other,)
    assert task.plan.job(task.index) == other


def test_a_node_without_the_folder_says_so(tmp_path):
    task = Task.of(Plan(jobs=(JOB,)), JOB, tmp_path / "elsewhere", [])
    with pytest.raises(NotADirectoryError, match="share it among the nodes"):
        next(run_job(task))


def test_without_ray_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match="not installed: python -m pip install 'ray"):
        connected("auto").__enter__()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://head:10001", "run this on a node of the cluster"),
        ("head", "is no HOST:PORT"),
        ("127.0.0.1:99999", "no Ray cluster answers at"),
    ],
)
@pytest.mark.parametrize("given", ["--ray", "RAY_ADDRESS"])
def test_an_address_where_no_cluster_is_is_refused_at_once(address, message, given, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.setenv("RAY_ADDRESS", address if given == "RAY_ADDRESS" else "other:1")
    with pytest.raises(ClusterError, match=message):
        connected(address if given == "--ray" else "auto").__enter__()


def test_it_names_the_versions_that_the_extra_asks_for():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    (requirement,) = project["optional-dependencies"]["ray"]
    assert INSTALL.endswith(f"'{requirement}'")


def test_a_plan_that_does_not_know_its_machines_is_refused(tmp_path):
    file = tmp_path / "plan.json"
    write_plan(Plan(jobs=(JOB,)), file)
    with pytest.raises(SelectionError, match="does not say what gpu-24 is: make it anew"):
        run_on_ray("auto", file, tmp_path, 1, [])
