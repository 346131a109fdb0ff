"""A checkpoint that is large beside what a process takes anyway, and a process with little room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compat.registry.load import default_registry_path, load_registry
from compat.weights.full.write import write_full

HERE = Path(__file__).parent
SUITE = "from compat.suite import test_check\n"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """Pythia 70m at full size: 141 MB in float16, so 282 MB in fp32."""
    folder = tmp_path_factory.mktemp("full") / "pythia"
    write_full(load_registry(default_registry_path()).by_id("pythia-70m"), folder)
    return folder


@dataclass(frozen=True)
class Run:
    """What a run in a process of its own came to."""

    status: int
    output: str
    records: tuple[dict[str, Any], ...]

    @property
    def cases(self) -> list[dict[str, Any]]:
        """In the order in which they ran."""
        return [line for line in self.records if line["kind"] == "case"]

    @property
    def outcomes(self) -> dict[str, str]:
        """`mode/check` -> outcome."""
        return {
            "/".join((case["case"].split("/")[-3], case["check"])): case["outcome"]
            for case in self.cases
        }

    @property
    def loads(self) -> int:
        """How often a target was loaded, or could not be."""
        (end,) = [line for line in self.records if line["kind"] == "job_end"]
        loads: int = end["loads"]
        return loads

    def first_cases(self) -> list[dict[str, Any]]:
        """Of each target the one in which it was loaded, or could not be."""
        return [case for case in self.cases if "open_seconds" in case["measures"]]


Starve = Callable[..., Run]


@pytest.fixture(scope="session")
def starve(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Starve:
    """Runs over the checkpoint in a process that may take only so much memory."""

    def run(modes: str, **environment: object) -> Run:
        folder = tmp_path_factory.mktemp("project")
        (folder / "pytest.ini").write_text("[pytest]\nstrict_parametrization_ids = true\n")
        (folder / "conftest.py").write_text((HERE / "starved.py").read_text())
        (folder / "test_suite.py").write_text(SUITE)
        options = [f"--compat-model={checkpoint}", f"--compat-modes={modes}", "-m=starved"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options],
            cwd=folder,
            env={**os.environ, **{name: str(value) for name, value in environment.items()}},
            capture_output=True,
            text=True,
            check=False,
        )
        records = [
            json.loads(line)
            for file in (folder / "reports" / "runs").rglob("*.jsonl")
            for line in file.read_text().splitlines()
        ]
        return Run(done.returncode, done.stdout + done.stderr, tuple(records))

    return run
