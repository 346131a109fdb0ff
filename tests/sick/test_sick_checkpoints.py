"""Checkpoints damaged on disk: some must not load, some load and are caught, some are well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from compat.checks.registry import load_catalogue
from compat.outcomes import Outcome, Stage
from compat.runner import conclude, run_case, stage_reached
from compat.targets import Weights
from compat.weights.twin import twin_checkpoint
from tests.sick.diagnosis import Clinic
from tests.sick.sickness import LLAMA, Patient

PATIENT = Patient(LLAMA, weights=Weights.LOCAL)
WEIGHTS = "model.safetensors"
DOWN = "model.layers.1.mlp.down_proj.weight"
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    return Clinic()


@pytest.fixture
def folder(clinic: Clinic, tmp_path: Path) -> Path:
    """A copy of a healthy checkpoint."""
    healthy = twin_checkpoint(clinic.registry.by_id(LLAMA)).folder
    return Path(shutil.copytree(healthy, tmp_path / "checkpoint"))


def rewrite(folder: Path, change: Callable[[Tensors], object]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def lose(tensors: Tensors) -> None:
    del tensors[DOWN]


def shorten(tensors: Tensors) -> None:
    tensors[DOWN] = tensors[DOWN][:, :-1].contiguous()


@pytest.mark.parametrize(
    ("damage", "says"),
    [(lose, f"{DOWN} is missing"), (shorten, rf"{DOWN} is \(.*\) and should be")],
    ids=["a tensor is missing", "a tensor has another shape"],
)
def test_a_checkpoint_that_does_not_fill_the_model_fails_and_is_not_skipped(
    damage: Callable[[Tensors], None], says: str, clinic: Clinic, folder: Path
) -> None:
    rewrite(folder, damage)
    with pytest.raises(Exception, match=says) as caught, clinic.admit(PATIENT, folder):
        pytest.fail("it loaded")
    stage = stage_reached(caught.value, Stage.CHECK)
    assert stage is Stage.LOAD
    assert conclude(caught.value, stage).outcome is Outcome.FAILED


@pytest.mark.parametrize("check", ["logits_finite", "hidden_states_complete"])
def test_nan_in_the_stored_weights_is_caught(check: str, clinic: Clinic, folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors[DOWN].fill_(torch.nan))
    with clinic.admit(PATIENT, folder) as subject:
        result = run_case(load_catalogue()[check], subject)
    assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.CHECK)


def test_nan_in_the_last_block_leaves_the_one_before_usable(clinic: Clinic, folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors[DOWN].fill_(torch.nan))
    with clinic.admit(PATIENT, folder) as subject:
        result = run_case(load_catalogue()["usable_block_found"], subject)
    assert result.outcome is Outcome.PASSED
    assert result.measures == {"blocks_with_nan": "1", "usable_block": 0}


@pytest.mark.parametrize(
    "check", [check.name for check in load_catalogue() if check.area == "generation"]
)
def test_the_checkpoint_s_own_generation_config_raises_no_alarm(
    check: str, clinic: Clinic, folder: Path
) -> None:
    own = {"repetition_penalty": 5.0, "do_sample": True, "temperature": 9.0, "max_length": 3}
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | own))
    with clinic.admit(PATIENT, folder) as subject:
        result = run_case(load_catalogue()[check], subject)
    assert result.outcome in (Outcome.PASSED, Outcome.SKIPPED), result.exception
    assert (result.outcome is Outcome.SKIPPED) == (
        "taught-weights" in load_catalogue()[check].needs
    )


def test_what_is_generated_does_not_depend_on_the_stored_config(
    clinic: Clinic, folder: Path
) -> None:
    with clinic.admit(PATIENT, folder) as subject:
        expected = subject.greedy.row()
    path = folder / "generation_config.json"
    path.write_text(json.dumps({"suppress_tokens": expected, "repetition_penalty": 5.0}))
    with clinic.admit(PATIENT, folder) as subject:
        assert subject.greedy.row() == expected
