from __future__ import annotations

import pytest
import torch

from compat.loading.load import load_dtype
from compat.subject.tolerance import assert_close, relative_difference, rounding_step, tolerance
from compat.targets import Device, Mode, Target, Weights

EXPECTED = torch.tensor([[-10.0, 0.0, 10.0]])


def test_differences_are_shares_of_the_expected_range() -> None:
    assert relative_difference(EXPECTED + 1, EXPECTED) == pytest.approx(1 / 20)


def test_a_constant_is_compared_absolutely() -> None:
    constant = torch.full((3,), 5.0)
    assert relative_difference(constant + 0.5, constant) == 0.5


@pytest.mark.parametrize("device", Device)
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.META])
def test_every_mode_has_a_bound_that_catches_a_difference_of_a_tenth(
    mode: Mode, device: Device
) -> None:
    assert 0 < tolerance(mode, device) < 0.1
    assert_close(EXPECTED, EXPECTED, mode, device, "logits")
    with pytest.raises(AssertionError, match=r"logits: differs by 1.00e-01 of the range"):
        assert_close(EXPECTED + 2, EXPECTED, mode, device, "logits")


def test_half_precision_is_given_more_than_full() -> None:
    full, half, brain = (tolerance(m, Device.CPU) for m in (Mode.FP32, Mode.FP16, Mode.BF16))
    assert full < half < brain


@pytest.mark.parametrize("device", Device)
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode.traits.dtype is not None])
def test_no_mode_is_held_to_more_than_the_dtype_that_it_computes_in(
    mode: Mode, device: Device
) -> None:
    dtype = load_dtype(Target("a/gpt2", "gpt2", Weights.TWIN, device, mode))
    by_dtype = {torch.float32: Mode.FP32, torch.float16: Mode.FP16, torch.bfloat16: Mode.BF16}
    if mode is not Mode.META:
        assert tolerance(mode, device) >= tolerance(by_dtype[dtype], device)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("where", ["actual", "expected", "both"])
def test_nan_and_infinity_are_close_to_nothing(value: float, where: str) -> None:
    actual, expected = EXPECTED.clone(), EXPECTED.clone()
    if where != "expected":
        actual[0, 1] = value
    if where != "actual":
        expected[0, 1] = value
    with pytest.raises(AssertionError, match="logits: differs"):
        assert_close(actual, expected, Mode.BF16, Device.CPU, "logits")


def test_another_shape_is_not_broadcast() -> None:
    with pytest.raises(AssertionError, match=r"shape \(3,\) instead of \(1, 3\)"):
        assert_close(EXPECTED[0], EXPECTED, Mode.FP32, Device.CPU, "logits")


@pytest.mark.parametrize(
    ("mode", "dtype", "step"),
    [
        (Mode.FP32, torch.float32, 1e-6),
        (Mode.NF4, torch.float32, 1e-6),
        (Mode.FP16, torch.float16, 2**-10),
        (Mode.BF16, torch.bfloat16, 2**-7),
        (Mode.CPU_OFFLOAD, torch.bfloat16, 2**-7),
        (Mode.INT8, torch.float32, 5e-2),
    ],
)
def test_runs_of_equal_shapes_are_given_a_step_of_their_dtype(
    mode: Mode, dtype: torch.dtype, step: float
) -> None:
    assert rounding_step(mode, Device.CPU, dtype) == step <= tolerance(mode, Device.CPU)
    assert_close(EXPECTED + 18 * step, EXPECTED, mode, Device.CPU, "logits", step)
    with pytest.raises(AssertionError, match="logits: differs"):
        assert_close(EXPECTED + 22 * step, EXPECTED, mode, Device.CPU, "logits", step)
