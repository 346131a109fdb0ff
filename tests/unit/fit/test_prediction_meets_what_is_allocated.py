"""A prediction, made from a config alone, against what twins really take on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from compat.anatomy.kv_cache import cache_bytes, cache_of
from compat.anatomy.live_storage import LiveStorage
from compat.fit import Facts, Workload, predict
from compat.fit.budget import FLOAT_MARGIN, QUANTIZED_MARGIN
from compat.fit.prediction import Prediction
from compat.loading.load import load
from compat.loading.loaded import Loaded
from compat.loading.release import release
from compat.registry.spec import ModelSpec
from compat.targets import Checkpoint, Device, Mode, Shape, Target, Weights
from compat.targets.mode import CPU_MODES
from compat.weights.local import local_spec
from compat.weights.twin import twin_checkpoint

TWINS = ("gpt2", "llama-3.2-1b", "mixtral-8x7b-v0.1", "t5-small", "falcon-7b", "gemma-3-270m")
RESIDENT = tuple(mode for mode in CPU_MODES if mode is not Mode.DISK_OFFLOAD)
WORKLOAD = Workload(batch=2, length=16)


@pytest.fixture(scope="module", params=TWINS)
def folder(request: pytest.FixtureRequest, spec_of: Callable[[str], ModelSpec]) -> Path:
    return twin_checkpoint(spec_of(request.param)).folder


@contextmanager
def loaded(folder: Path, mode: Mode) -> Iterator[Loaded]:
    spec = local_spec(folder)
    target = Target(spec.id, spec.slug, Weights.LOCAL, Device.CPU, mode)
    shape = Shape(spec.blocks.count, spec.widths.hidden, spec.widths.vocabulary)
    result = load(target, spec, Checkpoint(folder, Weights.LOCAL, shape))
    try:
        yield result
    finally:
        release(result)


def predicted(folder: Path, mode: Mode, facts: Facts) -> Prediction:
    return predict(local_spec(folder), mode, Device.CPU, WORKLOAD, facts)


def arguments(model: Any) -> dict[str, torch.Tensor]:
    names = (
        ("input_ids", "decoder_input_ids") if model.config.is_encoder_decoder else ("input_ids",)
    )
    ids = torch.arange(WORKLOAD.batch * WORKLOAD.length).reshape(WORKLOAD.batch, -1)
    return dict.fromkeys(names, ids)


def counting(model: Any, inputs: dict[str, torch.Tensor]) -> LiveStorage:
    return LiveStorage(chain(model.parameters(), model.buffers(), inputs.values()))


@pytest.mark.parametrize("mode", CPU_MODES)
def test_the_weights_take_exactly_the_predicted_bytes(folder, mode, facts):
    with loaded(folder, mode) as real:
        assert predicted(folder, mode, facts).weights_bytes == real.weights_bytes


@pytest.mark.parametrize("mode", RESIDENT)
def test_a_forward_and_its_cache_take_what_is_predicted(folder, mode, facts):
    prediction = predicted(folder, mode, facts)
    with loaded(folder, mode) as real, torch.no_grad():
        inputs = arguments(real.model)
        with counting(real.model, inputs) as storage:
            output = real.model(**inputs, use_cache=True)
        assert cache_bytes(cache_of(output)) == prediction.cache
    margin = FLOAT_MARGIN if mode.traits.quantization is None else QUANTIZED_MARGIN
    assert storage.peak == pytest.approx(prediction.forward, rel=margin)


@pytest.mark.parametrize("mode", [Mode.FP32, Mode.BF16])
def test_a_backward_past_frozen_weights_takes_what_is_predicted(folder, mode, facts):
    with loaded(folder, mode) as real:
        real.model.requires_grad_(False)
        inputs = arguments(real.model)
        embeddings = [one for one in real.model.modules() if isinstance(one, torch.nn.Embedding)]
        for embedding in embeddings:
            embedding.register_forward_hook(lambda _module, _inputs, out: out.requires_grad_())
        with counting(real.model, inputs) as storage:
            logits = real.model(**inputs, use_cache=False).logits
            labels = inputs["input_ids"].flatten()
            cross_entropy(logits.flatten(0, 1).float(), labels).backward()
    prediction = predicted(folder, mode, facts)
    assert storage.peak == pytest.approx(prediction.backward, rel=FLOAT_MARGIN)


def test_offloaded_weights_are_brought_in_one_module_at_a_time(folder, facts):
    with loaded(folder, Mode.DISK_OFFLOAD) as real, torch.no_grad():
        brought: list[int] = []
        for module in real.model.modules():
            module._old_forward = noting(module, brought)  # what accelerate calls when all is there
        real.model(**arguments(real.model), use_cache=True)
    assert max(brought) == predicted(folder, Mode.DISK_OFFLOAD, facts).module


def noting(module: Any, brought: list[int]) -> Any:
    """The module's own forward, with a note of the weights that it finds in memory."""
    forward = getattr(module, "_old_forward", module.forward)

    def noted(*args: Any, **kwargs: Any) -> Any:
        held = (one for one in module.parameters(recurse=False) if not one.is_meta)
        brought.append(sum(one.nbytes for one in held))
        return forward(*args, **kwargs)

    return noted
