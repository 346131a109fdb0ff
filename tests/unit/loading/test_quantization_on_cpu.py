"""4-bit layers on a CPU keep their layout, and so work in every size, twice, and backwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, has_avx512bf16

from compat.loading.loaded import Loaded
from compat.loading.quantization import CANONICAL_4BIT_LAYOUT
from compat.targets import Mode
from tests.unit.loading.tiny import logits

Folders = Callable[[str], Path]
Loading = Callable[..., Loaded]

repacks = pytest.mark.skipif(
    not has_avx512bf16(), reason="bitsandbytes repacks 4-bit weights on AVX512_BF16 CPUs only"
)


def test_the_workaround_is_recorded_where_it_was_needed(
    checkpoints: Folders, loading: Loading
) -> None:
    expected = CANONICAL_4BIT_LAYOUT.name if has_avx512bf16() else None
    assert loading(checkpoints("llama"), Mode.NF4).measures["workaround"] == expected
    assert loading(checkpoints("llama"), Mode.INT8).measures["workaround"] is None
    switched_off = {CANONICAL_4BIT_LAYOUT.switched_off_by: True}
    assert loading(checkpoints("llama"), Mode.NF4, **switched_off).measures["workaround"] is None


def soft_prompt_gradient(model: Any) -> torch.Tensor:
    """Gradient of a loss in the embedded prompt, 1 x 20 x hidden."""
    ids = torch.arange(10, 30)[None]
    prompt = model.get_input_embeddings()(ids).detach().requires_grad_()
    model(inputs_embeds=prompt, labels=ids).loss.backward()
    assert prompt.grad is not None
    return prompt.grad.flatten()


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0))


def test_widths_that_no_kernel_tile_divides_work(checkpoints: Folders, loading: Loading) -> None:
    assert logits(loading(checkpoints("odd"), Mode.NF4).model).isfinite().all()


def test_a_gradient_is_the_same_before_and_after_a_forward_without_one(
    checkpoints: Folders, loading: Loading
) -> None:
    model = loading(checkpoints("llama"), Mode.NF4).model
    before = soft_prompt_gradient(model)
    logits(model)
    assert torch.equal(soft_prompt_gradient(model), before)


def test_reading_the_state_dict_changes_no_logit(checkpoints: Folders, loading: Loading) -> None:
    model = loading(checkpoints("llama"), Mode.NF4).model
    before = logits(model)
    model.state_dict()
    assert torch.equal(logits(model), before)


def test_a_weight_dequantizes_to_the_same_after_a_forward(
    checkpoints: Folders, loading: Loading
) -> None:
    model = loading(checkpoints("llama"), Mode.NF4).model
    weight = model.model.layers[0].mlp.up_proj.weight
    before = dequantize_4bit(weight.data, weight.quant_state)
    logits(model)
    assert torch.equal(dequantize_4bit(weight.data, weight.quant_state), before)


class TestTheDefectsAreStillThere:
    """Where one of these fails, bitsandbytes has cured it: the workaround may lose a reason."""

    @pytest.fixture
    def repacked(self, checkpoints: Folders, loading: Loading) -> Callable[[str], Any]:
        return lambda kind: loading(checkpoints(kind), Mode.NF4, repack_4bit_on_cpu=True).model

    @repacks
    def test_widths_that_no_kernel_tile_divides(self, repacked: Callable[[str], Any]) -> None:
        with pytest.raises((RuntimeError, AssertionError), match=r"is invalid|divisible by block"):
            logits(repacked("odd"))

    @pytest.mark.filterwarnings("ignore:bitsandbytes..gemv_4bit. an autograd kernel was not")
    @repacks
    def test_gradient_after_a_forward(self, repacked: Callable[[str], Any]) -> None:
        model = repacked("llama")
        before = soft_prompt_gradient(model)
        logits(model)
        assert cosine(soft_prompt_gradient(model), before) < 0.9

    @repacks
    def test_state_dict_after_a_forward(self, repacked: Callable[[str], Any]) -> None:
        model = repacked("llama")
        before = logits(model)
        model.state_dict()
        assert not torch.equal(logits(model), before)

    @repacks
    def test_dequantizing_after_a_forward(self, repacked: Callable[[str], Any]) -> None:
        model = repacked("llama")
        weight = model.model.layers[0].mlp.up_proj.weight
        before = dequantize_4bit(weight.data, weight.quant_state).float().flatten()
        logits(model)
        after = dequantize_4bit(weight.data, weight.quant_state).float().flatten()
        assert cosine(after, before) < 0.9
