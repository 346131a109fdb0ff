"""The offload modes of a GPU, with the CPU standing in as the device that computes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from compat.loading import placement
from compat.loading.load import load
from compat.loading.loaded import LoadOptions, NotOffloadedError
from compat.loading.placement import describe_placement, stored_shapes, verify_offload
from compat.loading.release import release
from compat.targets import Checkpoint, Device, Mode, Shape, Weights
from compat.weights.local import local_spec
from tests.unit.loading.tiny import KINDS, load_folder, logits, target_of

Folders = Callable[[str], Path]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [Mode.CPU_OFFLOAD, Mode.DISK_OFFLOAD])
def test_weights_wait_elsewhere_and_logits_are_the_same(
    kind: str, mode: Mode, checkpoints: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoints(kind)
    whole = load_folder(folder, Mode.BF16 if mode is Mode.CPU_OFFLOAD else Mode.FP32)
    expected = logits(whole.model)
    release(whole)

    monkeypatch.setattr(placement, "FIRST_GPU", "cpu")
    spec = local_spec(folder)
    checkpoint = Checkpoint(folder, Weights.LOCAL, Shape(2, 64, 258))
    loaded = load(
        target_of(spec, mode, Device.GPU), spec, checkpoint, LoadOptions(offload_folder=tmp_path)
    )
    assert all(parameter.is_meta for parameter in loaded.model.parameters())
    assert torch.equal(logits(loaded.model), expected)
    model = weakref.ref(loaded.model)
    release(loaded)
    assert model() is None
    assert not list(tmp_path.iterdir())


def test_weights_that_stay_in_memory_are_not_offloaded(checkpoints: Folders) -> None:
    folder = checkpoints("llama")
    loaded = load_folder(folder, Mode.FP32)
    with pytest.raises(NotOffloadedError, match=r"disk-offload: 21 parameters stayed"):
        verify_offload(loaded.model, target_of(local_spec(folder), Mode.DISK_OFFLOAD))
    release(loaded)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_on_disk_is_compared(kind: str, checkpoints: Folders) -> None:
    loaded = load_folder(checkpoints(kind), Mode.DISK_OFFLOAD)
    compared = {name for name, _, _ in stored_shapes(loaded.model)}
    assert compared == {name for name, _ in loaded.model.named_parameters()}
    release(loaded)


def test_a_placement_is_described_in_one_line(checkpoints: Folders) -> None:
    loaded = load_folder(checkpoints("llama"), Mode.FP32)
    assert describe_placement(loaded.model, {"": "cpu"}) == "cpu"
    assert describe_placement(loaded.model, {"": 0}) == "cuda:0"
    loaded.model.hf_device_map = {"model.embed_tokens": 0, "model.layers.0": 0, "lm_head": "cpu"}
    assert describe_placement(loaded.model, "auto") == "cpu x 1, cuda:0 x 2"
    release(loaded)
