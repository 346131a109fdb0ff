"""The offload modes of a GPU, with the CPU standing in as the device that computes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path

import accelerate
import pytest
import torch

from compat.checks.registry import load_catalogue
from compat.loading import placement
from compat.loading.load import load
from compat.loading.loaded import LoadOptions, NotOffloadedError
from compat.loading.open import Opening, open_subject
from compat.loading.placement import describe_placement, stored_shapes, verify_offload
from compat.loading.release import release
from compat.outcomes import Outcome
from compat.runner import run_case
from compat.targets import Checkpoint, Device, Mode, Shape, Weights
from compat.targets.devices import Gpu, Host
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


def test_weights_that_are_computed_with_elsewhere_are_not_offloaded(checkpoints: Folders) -> None:
    folder = checkpoints("llama")
    loaded = load_folder(folder, Mode.DISK_OFFLOAD)
    target = target_of(local_spec(folder), Mode.DISK_OFFLOAD, Device.GPU)
    with pytest.raises(NotOffloadedError, match="weights are brought to cpu, not cuda:0"):
        verify_offload(loaded.model, target)
    release(loaded)


@pytest.mark.parametrize("exchanged", [False, True])
@pytest.mark.parametrize(
    ("mode", "place"), [(Mode.CPU_OFFLOAD, "cpu"), (Mode.DISK_OFFLOAD, "disk")]
)
def test_a_check_tells_weights_in_memory_from_weights_on_disk(
    mode: Mode,
    place: str,
    exchanged: bool,
    checkpoints: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if exchanged:
        to_cpu, to_disk = accelerate.cpu_offload, accelerate.disk_offload
        monkeypatch.setattr(
            accelerate, "disk_offload", lambda model, folder, **given: to_cpu(model, **given)
        )
        monkeypatch.setattr(
            accelerate, "cpu_offload", lambda model, **given: to_disk(model, str(tmp_path), **given)
        )
    monkeypatch.setattr(placement, "FIRST_GPU", "cpu")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "H200")
    folder = checkpoints("llama")
    spec = local_spec(folder)
    opening = Opening(
        host=Host(gpus=(Gpu("H200", 141 * 10**9, (9, 0)),), torch_cuda="13.0"),
        options=LoadOptions(offload_folder=tmp_path),
        local={spec.id: folder},
    )
    with open_subject(target_of(spec, mode, Device.GPU), spec, opening) as subject:
        result = run_case(load_catalogue()["weights_wait_where_asked"], subject)
        other = "cpu" if place == "disk" else "disk"
        assert subject.load_measures["device_map"] == (other if exchanged else place)
    if exchanged:
        assert result.outcome is Outcome.FAILED
        assert f"do not wait on {place}" in str(result.exception)
    else:
        assert result.outcome is Outcome.PASSED, result.exception


@pytest.mark.parametrize("place", ["cpu", "disk"])
def test_a_model_that_computes_on_a_gpu_is_told_from_one_that_does_not(
    place: str, tmp_path: Path
) -> None:
    # Without buffers: those would be brought to the device at once, and it is not here.
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    if place == "cpu":
        accelerate.cpu_offload(model, execution_device=0)
    else:
        accelerate.disk_offload(model, str(tmp_path), execution_device=0)
    assert describe_placement(model, {"": "cpu"}) == f"{place}, computed on cuda:0"


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
