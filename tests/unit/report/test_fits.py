"""What a cell needs at the least, by which the filter says what fits."""

from __future__ import annotations

import pytest

from compat.fit.table import FitRow, FitTable
from compat.registry.pair import PairSpec
from compat.report.facts import least_gigabytes, needs_of
from compat.targets import Device, Mode
from tests.unit.report.records import model_spec

SPEC = model_spec("acme/anvil-1b", parameters=1_000_000_000)


@pytest.mark.parametrize(
    ("mode", "gigabytes"),
    [(Mode.FP32, 4), (Mode.BF16, 2), (Mode.INT8, 1), (Mode.NF4, 0.5), (Mode.NATIVE, 2.47)],
)
def test_the_weights_alone_are_the_least(mode: Mode, gigabytes: float) -> None:
    assert least_gigabytes(SPEC, mode) == pytest.approx(gigabytes)


def test_a_pair_needs_both_its_models() -> None:
    assert least_gigabytes(PairSpec(SPEC, SPEC), Mode.BF16) == pytest.approx(4)


def test_of_offloaded_and_unknown_weights_nothing_is_said() -> None:
    assert least_gigabytes(SPEC, Mode.DISK_OFFLOAD) is None
    assert least_gigabytes(None, Mode.FP32) is None


@pytest.mark.parametrize(("device", "gigabytes"), [(Device.GPU, 3), (Device.CPU, 5)])
def test_what_was_predicted_is_what_has_to_be_free_on_the_device(
    device: Device, gigabytes: float
) -> None:
    row = FitRow(
        model=SPEC.id, slug=SPEC.slug, family="llama", mode=Mode.BF16, weights={}, fits=True,
        weights_bytes=0, cache_bytes=None, forward_bytes=0, backward_bytes=0, disk_bytes=0,
        gpu_bytes=3_000_000_000, host_bytes=5_000_000_000, fits_backward=True, largest_batch=1,
        largest_backward_batch=1,
    )  # fmt: skip
    table = FitTable(
        device=device, gpus=(), host=0, disk=0, batch=1, length=512, attention="sdpa",
        packages={}, rows=(row,),
    )  # fmt: skip
    assert needs_of(table) == {(SPEC.id, device, Mode.BF16): pytest.approx(gigabytes)}
    assert needs_of(None) == {}
