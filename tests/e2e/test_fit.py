"""A run on a machine that is too small: what does not fit is skipped with the figures, by case."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compat.fit import Facts, Task
from compat.fit.judge import Fitting, bill_of
from compat.fit.room import Room
from compat.targets import Device, Mode, Target, Weights
from compat.weights.local import local_spec
from tests.e2e.conftest import Project
from tests.unit.loading.conftest import checkpoints as checkpoints

READS, TRAINS = "weights_as_predicted", "gradient_reaches_every_weight"
SECONDS = 300
SMALL = """
import compat.fit.room

compat.fit.room.free_host_memory = lambda: {free}
"""


@pytest.fixture(scope="module")
def folder(checkpoints: Callable[[str], Path]) -> Path:
    return checkpoints("wide")


@pytest.fixture(scope="module")
def needed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Task, int]:
    """Bytes of main memory by task. Found before pytester notes which modules it is to forget."""
    spec = local_spec(folder)
    target = Target(spec.id, spec.slug, Weights.LOCAL, Device.CPU, Mode.FP32)
    fitting = Fitting(Facts(tmp_path_factory.mktemp("fit")), room=lambda: Room(host=10**9))
    predictions = fitting.predict(((target, spec),), Mode.FP32)
    return {task: bill_of(predictions, task).host for task in Task}


def run(project: Project, folder: Path, free: int) -> dict[str, dict[str, Any]]:
    """The records of two checks, by name, where so much is free."""
    shutil.copytree(folder, project.path / folder.name)
    project.pytester.makeconftest(SMALL.format(free=free))
    options = ("--compat-model", f"./{folder.name}", "--compat-modes", "fp32")
    project.pytester.runpytest_subprocess(
        *options, "-k", f"{READS} or {TRAINS}", "-p", "no:cacheprovider", timeout=SECONDS
    )
    return {record["check"]: record for record in project.records()}


def test_a_case_that_does_not_fit_is_skipped_while_others_run(project, folder, needed):
    assert needed[Task.FORWARD] < needed[Task.BACKWARD] < needed[Task.TRAINING]
    cases = run(project, folder, needed[Task.BACKWARD])
    assert cases[READS]["outcome"] == "passed"
    loaded = [case["measures"] for case in cases.values() if "load_seconds" in case["measures"]]
    assert [one["needed_host_bytes"] for one in loaded] == [needed[Task.FORWARD]]
    assert cases[TRAINS]["outcome"] == "skipped"
    reason = cases[TRAINS]["reason"]
    assert reason["code"] == "does-not-fit"
    assert reason["text"].startswith("a gradient of every weight needs ")
    assert "choose mode" in reason["action"]


def test_a_target_that_does_not_fit_is_not_loaded_at_all(project, folder, needed):
    cases = run(project, folder, needed[Task.FORWARD] - 1)
    assert {case["outcome"] for case in cases.values()} == {"skipped"}
    assert {case["reason"]["code"] for case in cases.values()} == {"does-not-fit"}
    assert not any("load_seconds" in case["measures"] for case in cases.values())
