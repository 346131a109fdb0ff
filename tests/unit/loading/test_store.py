"""How a target is loaded again from what it was saved as."""

from __future__ import annotations

import pytest

from compat.loading.store import saved_target
from compat.targets import Device, Mode, Target, Weights


def target(mode: Mode) -> Target:
    return Target("local/acorn", "acorn", Weights.LOCAL, Device.CPU, mode)


@pytest.mark.parametrize("mode", [Mode.INT8, Mode.NF4, Mode.FP4])
def test_quantized_weights_are_stored_so_and_loaded_as_they_are(mode: Mode) -> None:
    assert saved_target(target(mode)) == target(Mode.NATIVE)


@pytest.mark.parametrize("mode", [Mode.FP32, Mode.BF16, Mode.DISK_OFFLOAD, Mode.NATIVE])
def test_everything_else_is_loaded_in_its_own_mode(mode: Mode) -> None:
    assert saved_target(target(mode)) == target(mode)
