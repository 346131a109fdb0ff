"""How far two ways of computing the same thing may differ."""

from __future__ import annotations

import torch

from compat.targets import Device, Mode

_RELATIVE: dict[Mode, float] = {
    Mode.FP32: 1e-4,
    Mode.DISK_OFFLOAD: 1e-4,
    Mode.NF4: 1e-4,
    Mode.FP4: 1e-4,
    Mode.FP16: 1e-2,
    Mode.BF16: 5e-2,
    Mode.CPU_OFFLOAD: 5e-2,
    Mode.AUTO: 5e-2,
    Mode.NATIVE: 5e-2,
    Mode.INT8: 5e-2,
}
"""Share of the logits' range, on a CPU. There 4-bit modes compute in float32, so their rows do not
depend on the batch; int8 rounds activations, and which columns it keeps in full depends on the
whole batch."""


def tolerance(mode: Mode, device: Device) -> float:
    """The largest difference that rounding explains, as a share of the expected value's range.

    Quantized modes compute in bfloat16 on a GPU, and round as it does.
    """
    if device is Device.GPU and mode.traits.quantization is not None:
        return _RELATIVE[Mode.BF16]
    return _RELATIVE[mode]


def rounding_step(mode: Mode, device: Device, dtype: torch.dtype) -> float:
    """The largest difference, as a share of the range, of runs that do the same sums alike.

    Where shapes, dtype and device are the same most twins do not differ at all on a CPU; some do
    where experts get other tokens beside theirs, or in fp16 where a norm is computed apart. One
    step of `dtype` is allowed. Not in int8, where the rest of the batch matters, in `auto`, over
    devices that need not be of one kind, and with the kernels of a stored quantization.
    """
    if mode in (Mode.INT8, Mode.AUTO, Mode.NATIVE):
        return tolerance(mode, device)
    return max(torch.finfo(dtype).eps, 1e-6)


def relative_difference(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest absolute difference over the range of `expected`. NaN where either holds one."""
    actual, expected = actual.float(), expected.float()
    spread = float(expected.max() - expected.min()) or 1.0
    return float((actual - expected).abs().max()) / spread


def assert_close(
    actual: torch.Tensor,
    expected: torch.Tensor,
    mode: Mode,
    device: Device,
    what: str,
    bound: float | None = None,
) -> float:
    """Fail unless `actual` equals `expected` up to `bound`; NaN never does.

    Without a bound it is the rounding of its mode, see `tolerance`. Returns the relative
    difference. Raises AssertionError with both figures.
    """
    assert actual.shape == expected.shape, (
        f"{what}: shape {tuple(actual.shape)} instead of {tuple(expected.shape)}"
    )
    difference = relative_difference(actual, expected)
    bound = tolerance(mode, device) if bound is None else bound
    assert difference <= bound, (
        f"{what}: differs by {difference:.2e} of the range, more than {bound:.0e} for {mode}"
    )
    return difference
