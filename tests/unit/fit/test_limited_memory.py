"""What is predicted to fit runs in so much memory and no more, and what is not is killed there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compat.fit import Workload, predict
from compat.fit.budget import Bill
from compat.targets import Device, Mode
from compat.weights.full.write import write_full
from compat.weights.local import local_spec
from tests.faults.memory_group import memory_group

MODEL = "facebook/opt-350m"
"""662 MB in bfloat16, in matrices that malloc takes from its heap."""
LOAD = """
import sys
from pathlib import Path

import torch
from compat.loading.open import Opening, open_subject
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import this_host
from compat.weights.local import local_spec

torch.set_num_threads(1)
folder, mode = Path(sys.argv[1]), Mode(sys.argv[2])
spec = local_spec(folder)
target = Target(spec.id, spec.slug, Weights.LOCAL, Device.CPU, mode)
with open_subject(target, spec, Opening(host=this_host(), local={spec.id: folder})) as subject:
    assert subject.forward(subject.text.inputs) is not None
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, registry) -> Path:
    made: Path = tmp_path_factory.mktemp("full") / "opt-350m"
    write_full(registry.by_id(MODEL), made)
    return made


def needed(folder: Path, mode: Mode, facts) -> int:
    spec = local_spec(folder)
    return Bill.of(predict(spec, mode, Device.CPU, Workload(1, 64), facts).needs()).host


def load(folder: Path, mode: Mode, size: int) -> int:
    """The exit status of a process that loads it with so many bytes of memory.

    They are its own and those of files' pages in use: clean ones are given up before anything is
    killed. The fit is not judged inside: a limit of which it knew would have it skip.
    """
    command = [sys.executable, "-c", LOAD, str(folder), str(mode)]
    with memory_group(size) as through:
        return subprocess.run([*through, *command], capture_output=True).returncode


def test_what_fits_by_the_prediction_runs_in_that(folder, facts):
    assert load(folder, Mode.NF4, needed(folder, Mode.NF4, facts)) == 0


def test_what_does_not_fit_by_far_is_killed(folder, facts):
    status = load(folder, Mode.NF4, round(0.6 * needed(folder, Mode.NF4, facts)))
    assert status in (-signal.SIGKILL, 128 + signal.SIGKILL)
