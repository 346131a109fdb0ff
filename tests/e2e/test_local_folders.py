"""Folders of checkpoints that are in no registry, tested for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compat.registry.load import default_registry_path, load_registry
from compat.weights.twin import twin_checkpoint

SECONDS = 240
COMPARED = "close_to_reference or offloaded_equals_resident or recites_teacher_forced"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A taught twin as somebody's own checkpoint: nothing says that it is one."""
    twin = twin_checkpoint(load_registry(default_registry_path()).by_id("llama-3.2-1b")).folder
    made = tmp_path / "my-checkpoint"
    shutil.copytree(twin, made, ignore=shutil.ignore_patterns("compat*"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_suite.py").write_text("from compat.suite import test_check\n")
    return made


def run(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Test the folder; the records of its cases."""
    place = folder.parent
    shutil.rmtree(place / "records", ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--compat-model", str(folder),
         "--compat-records", "records", "--compat-twin-cache", str(place / "cache"), *arguments],
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    lines = [
        json.loads(line)
        for file in (place / "records").rglob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    return [line for line in lines if line["kind"] == "case"]


def reference_loads(cases: list[dict[str, Any]]) -> list[int]:
    """What each target that was compared with a reference loaded for it."""
    found = (case["measures"].get("reference_loads") for case in cases)
    return [loads for loads in found if loads is not None]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_modes_workers_and_runs_share_one_reference(folder, workers):
    selected = ("-k", COMPARED, "--compat-modes", "fp16,int8,nf4,disk-offload", "-n", workers)
    first = reference_loads(run(folder, *selected))
    assert (len(first), sum(first)) == (4, 2), "bf16 for three modes, fp32 for offloading"
    assert sum(reference_loads(run(folder, *selected))) == 0


def test_what_the_reference_mode_runs_itself_is_not_loaded_again(folder):
    modes = ("--compat-modes", "fp32,bf16,nf4,disk-offload")
    assert reference_loads(run(folder, "-k", COMPARED, *modes)) == [0, 0]
