"""`compat doctor` asked about what is on the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hub import faults
from tests.hub.conftest import MODEL
from tests.hub.server import COMMIT, LoopbackHub, Repository

PROGRAM = "import sys; from compat.cli import main; sys.argv[0] = 'compat'; main()"
SECONDS = 240
Doctor = Callable[..., dict[str, Any]]


@pytest.fixture
def doctor(hub: LoopbackHub, tmp_path: Path) -> Doctor:
    """Ask with an empty cache of one's own; what it says as values."""
    inherited = {name: value for name, value in os.environ.items() if name[:3] != "HF_"}
    own = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hf-home"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    def ask(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "doctor", *arguments, "--json", "--modes", "fp32"],
            cwd=tmp_path,
            env=inherited | own,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        found: dict[str, Any] = json.loads(done.stdout or done.stderr)
        assert found["exit"] == done.returncode
        return found

    return ask


def test_a_repository_at_a_revision_is_examined_once_it_may_be_downloaded(doctor, hub):
    refused = doctor(f"{MODEL}@{COMMIT}")
    assert refused["exit"] == 3
    assert "add --download any" in refused["findings"][0]["action"]
    assert hub.requests == []
    found = doctor(f"{MODEL}@{COMMIT}", "--download", "1")
    assert found["exit"] == 0, found
    assert (found["weights"], found["verdicts"]["fp32"]["word"]) == ("hub", "works")


@pytest.mark.parametrize(
    ("fault", "text"),
    [(faults.gated("right"), "gated"), (faults.missing, "no such repository"), (faults.down, "")],
)
def test_what_the_hub_refuses_stands_in_the_way_with_what_to_do(
    doctor, hub, checkpoint, fault, text
):
    hub.repositories["org/troubled"] = Repository.of(checkpoint, fault)
    found = doctor("org/troubled", "--download", "1")
    assert found["exit"] == 3
    (finding,) = found["findings"]
    assert text in finding["text"]
    assert finding["action"]


def test_a_model_of_the_registry_that_is_gated_stops_at_access(doctor, hub, checkpoint):
    model = "meta-llama/Llama-3.2-1B"
    hub.repositories[model] = Repository.of(checkpoint, faults.gated("right"))
    found = doctor(model, "--download", "10")
    assert found["exit"] == 3, found
    assert found["steps"]["access"] == "blocked here"
    assert found["steps"]["load"] == "waiting"
    (finding,) = found["findings"]
    assert finding["modes"] == ["fp32"]
    assert "accept the licence on the model's page, run `hf auth login`" in finding["action"]
