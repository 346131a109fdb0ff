"""Checks that spoil the model they look at are found out, and a check's own finding comes first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from compat.checks.registry import Area, Catalogue, Check, check
from compat.outcomes import Outcome, Stage
from compat.runner import run_case
from tests.sick.diagnosis import Clinic
from tests.sick.sickness import LLAMA, Patient


@pytest.fixture
def subject() -> Iterator[Any]:
    with Clinic().admit(Patient(LLAMA)) as healthy:
        yield healthy


def declared(function: Any) -> Check:
    catalogue = Catalogue()
    check(Area.HOOKS, catalogue=catalogue)(function)
    return catalogue[function.__name__]


def leaves_a_hook(subject: Any) -> None:
    """Forgets a hook."""
    subject.anatomy.blocks[0].module.register_forward_hook(lambda *_: None)


def writes_into_a_weight(subject: Any) -> None:
    """Edits a weight and does not put it back."""
    with torch.no_grad():
        subject.model.model.norm.weight.mul_(2)


def leaves_training_mode_on(subject: Any) -> None:
    """Turns dropout on."""
    subject.model.train()


def leaves_gradients(subject: Any) -> None:
    """Runs backward into the weights."""
    subject.forward(subject.text.inputs, grad=True).logits.sum().backward()


def freezes(subject: Any) -> None:
    """Freezes the weights."""
    subject.model.requires_grad_(False)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (leaves_a_hook, "hooks on model.layers.0"),
        (writes_into_a_weight, "tensors written to or replaced: model.norm.weight"),
        (leaves_training_mode_on, "training mode changed on"),
        (leaves_gradients, "gradients on"),
        (freezes, "requires_grad changed on"),
    ],
)
def test_a_check_that_leaves_a_trace_fails_for_it(function: Any, says: str, subject: Any) -> None:
    result = run_case(declared(function), subject)
    assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.PRISTINE)
    assert says in str(result.exception)


def test_a_check_that_fails_and_leaves_a_trace_fails_by_its_own_finding(subject: Any) -> None:
    def fails_first(subject: Any) -> None:
        """Fails with a hook on."""
        leaves_a_hook(subject)
        raise AssertionError("what it found")

    result = run_case(declared(fails_first), subject)
    assert (result.stage, str(result.exception)) == (Stage.CHECK, "what it found")


def test_a_write_past_the_version_counters_is_seen_at_the_end_of_the_target(subject: Any) -> None:
    def writes_in_secret(subject: Any) -> None:
        """Edits a weight by its data."""
        subject.model.model.norm.weight.data.mul_(2)

    assert subject.fingerprint_unchanged()
    assert run_case(declared(writes_in_secret), subject).outcome is Outcome.PASSED
    assert not subject.fingerprint_unchanged()
