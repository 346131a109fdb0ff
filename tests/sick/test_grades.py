"""Grades on models that run: what babbles or repeats itself is Poor, what knows the text is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from compat.checks.registry import load_catalogue
from compat.outcomes import Outcome
from compat.runner import CaseResult, run_case
from compat.subject.quality import PASSAGES
from compat.targets import Weights
from tests.sick.diagnosis import Clinic, forget
from tests.sick.sickness import LLAMA, Patient
from tests.sick.surgery import around_forward, change_logits

Damage = Callable[[Any], None]


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    return Clinic()


@pytest.fixture
def graded(clinic: Clinic) -> Callable[[Damage], CaseResult]:
    """What the check comes to on a local checkpoint that was changed by a function."""

    def grade(change: Damage) -> CaseResult:
        with clinic.admit(Patient(LLAMA, weights=Weights.LOCAL)) as subject:
            change(subject)
            forget(subject)
            return run_case(load_catalogue()["writes_text"], subject)

    return grade


def random_weights(subject: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    for parameter in subject.model.parameters():
        parameter.data.normal_(0, 0.2, generator=generator)


def one_token_for_ever(subject: Any) -> None:
    change_logits(subject.model, lambda logits: logits.index_fill(-1, torch.tensor([70]), 100.0))


def read_the_passages_before(subject: Any) -> None:
    """Give most of the probability to what follows in the passages, and the rest to all others."""
    following: dict[tuple[int, ...], int] = {}
    for passage in PASSAGES:
        ids = subject.tokenizer(passage)["input_ids"]
        following |= {tuple(ids[:at]): ids[at] for at in range(1, len(ids))}

    def know(inner: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        output.logits = torch.zeros_like(output.logits)
        read = kwargs["input_ids"][0].tolist()
        if output.logits.shape[1] == len(read):  # generation asks for the last position alone
            for at in range(len(read)):
                token = following.get(tuple(read[: at + 1]))
                if token is not None:
                    output.logits[0, at, token] = 12.0
        return output

    around_forward(subject.model, know)


@pytest.mark.parametrize("damage", [random_weights, one_token_for_ever])
def test_babble_and_repetition_are_poor_and_fail_nothing(
    damage: Damage, graded: Callable[[Damage], CaseResult]
) -> None:
    result = graded(damage)
    assert result.outcome is Outcome.PASSED, result.exception
    assert result.measures["quality"] == "Poor"


def test_only_a_repeater_repeats(graded: Callable[[Damage], CaseResult]) -> None:
    assert graded(one_token_for_ever).measures["repetition"] > 0.9
    assert graded(random_weights).measures["repetition"] < 0.1


def test_a_model_that_predicts_the_text_and_varies_is_good(
    graded: Callable[[Damage], CaseResult],
) -> None:
    result = graded(read_the_passages_before)
    assert result.measures["quality"] == "Good", result.measures


def test_the_sample_goes_on_from_the_shared_prompt(
    graded: Callable[[Damage], CaseResult],
) -> None:
    sample = graded(lambda subject: None).sample
    prompt = "The adaptive transformer architecture enables AI systems to"
    assert sample is not None
    assert sample.startswith(prompt)
    assert len(sample) > len(prompt)


def test_a_grade_is_the_same_twice(graded: Callable[[Damage], CaseResult]) -> None:
    assert graded(lambda subject: None).measures == graded(lambda subject: None).measures
