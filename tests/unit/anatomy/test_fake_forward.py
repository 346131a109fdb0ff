"""Memory predicted from a config alone, at full size and against real tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as t

from compat.anatomy.fake_forward import PredictedForward, PredictedMemory, predict_memory
from compat.anatomy.live_storage import LiveStorage

LLAMA_8B = {
    "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
}  # fmt: skip
PARAMETERS = 8_030_261_248
SMALL = {
    "vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip


def predicted(model_class: Any, config: Any, *, length: int = 16, **options: Any) -> Any:
    options = {"dtype": torch.bfloat16, "attention": "sdpa"} | options
    return predict_memory(model_class, config, ids={"input_ids": (1, length)}, **options)


def forward_of(memory: PredictedMemory) -> PredictedForward:
    assert isinstance(memory.forward, PredictedForward), memory.forward
    return memory.forward


@pytest.fixture(scope="module")
def llama_8b() -> PredictedMemory:
    return predicted(t.LlamaForCausalLM, t.LlamaConfig(**LLAMA_8B), length=512)


def test_the_weights_of_a_model_of_8_billion_are_known_without_allocating_them(
    llama_8b: PredictedMemory,
) -> None:
    rotary = 2 * 64 * 4  # one float32 frequency a pair of features, and the unscaled original
    assert llama_8b.weights == 2 * PARAMETERS + rotary


def test_its_cache_is_that_of_the_formula_for_grouped_heads(llama_8b: PredictedMemory) -> None:
    keys_and_values, layers, heads, tokens, head, size = 2, 32, 8, 512, 128, 2
    assert forward_of(llama_8b).cache == keys_and_values * layers * heads * tokens * head * size


def test_its_peak_holds_at_least_logits_and_cache(llama_8b: PredictedMemory) -> None:
    forward = forward_of(llama_8b)
    assert forward.cache is not None
    assert 512 * 128256 * 2 + forward.cache <= forward.peak < 2**28


@pytest.mark.parametrize("scheme", ["int8", "nf4"])
def test_quantized_weights_are_codes_scales_and_what_is_left_out(scheme: str) -> None:
    config = t.LlamaConfig(**SMALL)
    whole = predicted(t.LlamaForCausalLM, config, dtype=torch.float32)
    narrow = predicted(t.LlamaForCausalLM, config, dtype=torch.float32, scheme=scheme)
    shapes = [(64, 64), (32, 64), (32, 64), (64, 64), (128, 64), (128, 64), (64, 128)]
    elements = 2 * sum(rows * width for rows, width in shapes)
    rows = 2 * sum(rows for rows, _ in shapes)
    small = elements + 4 * rows if scheme == "int8" else elements // 2 + elements // 16 + 14 * 64
    assert narrow.weights == whole.weights - 4 * elements + small
    assert narrow.forward == whole.forward


def test_tied_weights_count_once() -> None:
    tied = predicted(t.LlamaForCausalLM, t.LlamaConfig(**SMALL, tie_word_embeddings=True))
    untied = predicted(t.LlamaForCausalLM, t.LlamaConfig(**SMALL, tie_word_embeddings=False))
    assert untied.weights - tied.weights == 256 * 64 * 2


def test_what_a_class_keeps_in_float32_counts_so_in_float16_only() -> None:
    config = t.T5Config(vocab_size=256, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
    shapes = {"input_ids": (1, 8), "decoder_input_ids": (1, 8)}
    by_dtype = {
        dtype: predict_memory(
            t.T5ForConditionalGeneration, config, dtype=dtype, attention="eager", ids=shapes
        )
        for dtype in (torch.float16, torch.bfloat16)
    }
    kept = 4 * 64 * 128  # `wo` of two encoder and two decoder blocks
    difference = by_dtype[torch.float16].weights - by_dtype[torch.bfloat16].weights
    assert difference == 2 * kept


def test_a_model_that_looks_for_infinities_in_float16_is_predicted_all_the_same() -> None:
    config = t.BartConfig(
        vocab_size=256, d_model=64, encoder_layers=1, decoder_layers=1,
        encoder_ffn_dim=64, decoder_ffn_dim=64, encoder_attention_heads=4,
        decoder_attention_heads=4, max_position_embeddings=64,
    )  # fmt: skip
    shapes = {"input_ids": (1, 8), "decoder_input_ids": (1, 8)}
    memory = predict_memory(
        t.BartForConditionalGeneration, config, dtype=torch.float16, attention="sdpa", ids=shapes
    )
    assert forward_of(memory).peak > 0


def test_experts_that_are_chosen_by_value_leave_the_weights_predicted() -> None:
    config = t.DbrxConfig(
        d_model=64, n_heads=4, n_layers=1, vocab_size=256, max_seq_len=64,
        attn_config={"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0},
        ffn_config={"ffn_hidden_size": 64},
    )  # fmt: skip
    memory = predicted(t.DbrxForCausalLM, config)
    assert memory.weights > 0
    assert isinstance(memory.forward, str)
    assert "depends on data" in memory.forward


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_prediction_is_what_real_tensors_take(dtype: torch.dtype, attention: str) -> None:
    config = t.MixtralConfig(**SMALL, num_local_experts=4)
    model = t.MixtralForCausalLM._from_config(
        config, dtype=dtype, attn_implementation=attention
    ).eval()
    ids = torch.zeros(1, 16).long()
    with torch.no_grad(), LiveStorage([*model.parameters(), *model.buffers(), ids]) as storage:
        model(input_ids=ids, use_cache=True)
    fake = predicted(t.MixtralForCausalLM, config, dtype=dtype, attention=attention)
    assert forward_of(fake).peak == storage.peak


def test_a_prediction_leaves_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    predicted(t.LlamaForCausalLM, t.LlamaConfig(**SMALL))
    assert torch.equal(state, torch.get_rng_state())
