"""What a peak on a GPU is held against, with figures in the place of a GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from compat.anatomy.fake_forward import PredictedForward
from compat.checks.memory import peak_as_predicted
from compat.subject.memory import MeasuredMemory
from compat.targets import Mode

PREDICTED = PredictedForward(peak=100_000, cache=None, peak_unpacking=130_000, rounding=20 * 512)


def subject_of(mode: Mode, measured: int, device: str = "cuda") -> Any:
    return SimpleNamespace(
        mode=mode,
        device=torch.device(device),
        predicted_forward=PREDICTED,
        measured_memory=MeasuredMemory(16, measured, None, None),
        measure=lambda name, value: None,
    )


@pytest.mark.parametrize(
    ("mode", "measured"), [(Mode.BF16, 100_000), (Mode.BF16, 112_000), (Mode.NF4, 130_000)]
)
def test_a_peak_that_rounding_explains_is_as_predicted(mode: Mode, measured: int) -> None:
    peak_as_predicted(subject_of(mode, measured))


@pytest.mark.parametrize(
    ("mode", "measured", "device"),
    [
        (Mode.BF16, 120_000, "cuda"),
        (Mode.BF16, 80_000, "cuda"),
        (Mode.NF4, 160_000, "cuda"),
        (Mode.NF4, 100_000, "cuda"),
        (Mode.BF16, 106_000, "cpu"),
        (Mode.NF4, 130_000, "cpu"),
    ],
)
def test_a_twin_s_peak_that_it_does_not_explain_is_not(
    mode: Mode, measured: int, device: str
) -> None:
    with pytest.raises(AssertionError, match="a forward takes"):
        peak_as_predicted(subject_of(mode, measured, device))
