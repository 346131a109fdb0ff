"""The probe and the ten prompts test the capture: weights that know nothing pass them too."""

from __future__ import annotations

import pytest
import torch

from compat.checks.registry import load_catalogue
from compat.outcomes import Outcome
from compat.runner import run_case
from tests.sick.diagnosis import Clinic, forget
from tests.sick.sickness import GPT2, LLAMA, Patient


@pytest.mark.parametrize("model", [GPT2, LLAMA])
@pytest.mark.parametrize(
    "check", ["probe_separates_held_out_prompts", "ten_prompts_calibrate_every_block"]
)
def test_random_weights_pass(model: str, check: str) -> None:
    with Clinic().admit(Patient(model)) as subject, torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in subject.model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.02)
        forget(subject)
        result = run_case(load_catalogue()[check], subject)
        said = run_case(load_catalogue()["recites_teacher_forced"], subject)
    assert result.outcome is Outcome.PASSED, str(result.exception)
    assert said.outcome is Outcome.FAILED
