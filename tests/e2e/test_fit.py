"""A run on a machine that is too small: what does not fit is skipped with the figures, by case."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compat.fit import Facts, Task
from compat.fit.judge import Fitting, bill_of
from compat.fit.room import Room
from compat.registry.spec import ModelSpec
from compat.targets import Device, Mode, Target, Weights
from compat.weights.local import local_spec
from tests.e2e.conftest import Project
from tests.unit.loading.conftest import checkpoints as checkpoints

SMALL = """
import compat.fit.room

compat.fit.room.free_host_memory = lambda: {free}
"""


@pytest.fixture
def spec(checkpoints) -> ModelSpec:
    return local_spec(checkpoints("wide"))


def needed(spec: ModelSpec, task: Task, tmp_path: Path) -> int:
    target = Target(spec.id, spec.slug, Weights.LOCAL, Device.CPU, Mode.FP32)
    fitting = Fitting(Facts(tmp_path), room=lambda: Room(host=10**9, disk=10**12))
    predictions = fitting.predict(((target, spec),), Mode.FP32)
    return bill_of(predictions, task).host


def run(project: Project, folder: Path, free: int) -> dict[str, dict]:
    shutil.copytree(folder, project.path / folder.name)
    project.pytester.makeconftest(SMALL.format(free=free))
    project.run_apart(
        "--compat-model", f"./{folder.name}", "--compat-modes", "fp32", "-k", "not hooks"
    )
    return {record["check"]: record for record in project.records()}


def test_a_case_that_does_not_fit_is_skipped_while_others_run(project, checkpoints, spec, tmp_path):
    free = needed(spec, Task.BACKWARD, tmp_path)
    assert needed(spec, Task.FORWARD, tmp_path) < free < needed(spec, Task.TRAINING, tmp_path)
    cases = run(project, checkpoints("wide"), free)
    skipped = {
        check: record
        for check, record in cases.items()
        if record.get("reason", {}).get("code") == "does-not-fit"
    }
    assert "gradient_reaches_every_weight" in skipped
    assert cases["weights_as_predicted"]["outcome"] == "passed"
    reason = skipped["gradient_reaches_every_weight"]["reason"]
    assert reason["text"].startswith("a gradient of every weight needs ")
    assert "choose mode" in reason["action"]
    assert cases["weights_as_predicted"]["measures"]["predicted_weights_bytes"] > 0


def test_a_target_that_does_not_fit_is_not_loaded_at_all(project, checkpoints, spec, tmp_path):
    free = needed(spec, Task.FORWARD, tmp_path) - 1
    cases = run(project, checkpoints("wide"), free)
    assert {record["outcome"] for record in cases.values()} == {"skipped"}
    assert {record["reason"]["code"] for record in cases.values()} <= {
        "does-not-fit",
        "not-applicable",
    }
    (end,) = project.records("job_end")
    assert end["loads"] <= 1
