"""Released means gone: the model, its weights, its hooks, its folder, its log filters."""

from __future__ import annotations

import gc
import logging
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from compat.loading.loaded import IncompleteCheckpointError
from compat.loading.memory import resident_bytes
from compat.loading.quiet import NOISE
from compat.loading.release import forget_exceptions, release
from compat.targets import CPU_MODES, Mode
from tests.unit.loading.tiny import load_folder, logits

Folders = Callable[[str], Path]


@pytest.mark.parametrize("mode", CPU_MODES)
def test_a_released_model_is_dead(mode: Mode, checkpoints: Folders) -> None:
    loaded = load_folder(checkpoints("llama"), mode)
    logits(loaded.model)
    model = weakref.ref(loaded.model)
    release(loaded)
    assert model() is None
    assert loaded.model is loaded.tokenizer is None


@pytest.mark.parametrize("mode", CPU_MODES)
def test_a_forgotten_reference_keeps_no_weights(mode: Mode, checkpoints: Folders) -> None:
    loaded = load_folder(checkpoints("llama"), mode)
    logits(loaded.model)
    forgotten = loaded.model
    release(loaded)
    held = [parameter.numel() for parameter in forgotten.parameters() if not parameter.is_meta]
    assert sum(held) == 0
    for module in forgotten.modules():
        assert getattr(getattr(module, "state", None), "CB", None) is None
        assert getattr(getattr(module, "weight", None), "quant_state", None) is None
        assert not hasattr(module, "_hf_hook")


def test_a_traceback_does_not_keep_a_model_alive(checkpoints: Folders) -> None:
    def check(model: torch.nn.Module) -> None:
        assert model is None, "the check fails, and its frame holds the model"

    loaded = load_folder(checkpoints("llama"), Mode.FP32)
    model = weakref.ref(loaded.model)
    with pytest.raises(AssertionError) as caught:
        check(loaded.model)
    try:
        raise RuntimeError("while reporting") from caught.value
    except RuntimeError as error:
        chained = error
    release(loaded, [chained])
    assert model() is None


def test_the_last_error_of_the_interpreter_is_forgotten() -> None:
    def fail() -> None:
        payload = torch.zeros(3)
        held.append(weakref.ref(payload))
        raise ValueError(payload.shape)

    held: list[weakref.ref[torch.Tensor]] = []
    try:
        fail()
    except ValueError as error:
        sys.last_value, sys.last_traceback = error, error.__traceback__
    assert held[0]() is not None
    forget_exceptions()
    assert held[0]() is None
    assert not hasattr(sys, "last_value")
    assert not hasattr(sys, "last_traceback")


def test_the_offload_folder_lives_as_long_as_the_model(
    checkpoints: Folders, tmp_path: Path
) -> None:
    loaded = load_folder(checkpoints("mixtral"), Mode.DISK_OFFLOAD, offload_folder=tmp_path)
    (folder,) = tmp_path.iterdir()
    assert any(folder.glob("*experts*")), "fused experts are written anew"
    release(loaded)
    assert not folder.exists()


def test_int8_repeats_no_log_line_and_real_warnings_come_through(
    checkpoints: Folders, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    loaded = load_folder(checkpoints("llama"), Mode.INT8)
    logits(loaded.model)
    logger.warning("something new")
    assert [record.message for record in caplog.records] == ["something new"]
    release(loaded)
    logger.warning("MatMul8bitLt: inputs will be cast from torch.float32 to float16")
    assert len(caplog.records) == 2


def test_a_load_that_fails_leaves_nothing_behind(
    damaged: Callable[..., Path], tmp_path: Path
) -> None:
    filters = {entry.logger: list(logging.getLogger(entry.logger).filters) for entry in NOISE}
    folder = damaged("llama", lambda tensors: tensors.pop("lm_head.weight"))
    offload = tmp_path / "offload"
    offload.mkdir()
    with pytest.raises(IncompleteCheckpointError):
        load_folder(folder, Mode.DISK_OFFLOAD, offload_folder=offload)
    assert not list(offload.iterdir())
    assert filters == {name: logging.getLogger(name).filters for name in filters}
    assert gc.get_freeze_count() == 0


def test_releasing_twice_is_releasing_once(checkpoints: Folders) -> None:
    loaded = load_folder(checkpoints("llama"), Mode.FP32)
    release(loaded)
    release(loaded)


def test_memory_is_flat_over_many_loads(checkpoints: Folders) -> None:
    """The fp32 weights have 5 MB: kept back in every round, they would be 35 MB."""

    def round_of_loads() -> int:
        for mode in CPU_MODES:
            loaded = load_folder(checkpoints("wide"), mode)
            logits(loaded.model)
            release(loaded)
        return resident_bytes()

    settled = [round_of_loads() for _ in range(3)][-1]
    later = [round_of_loads() for _ in range(7)][-1]
    assert later - settled < 20e6
