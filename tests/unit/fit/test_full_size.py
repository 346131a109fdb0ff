"""Models at full size: what their configs say, without a weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from compat.anatomy import full_size
from compat.anatomy.full_size import FakeModel
from compat.fit import Workload, predict
from compat.targets import Device, Mode

LLAMA, MIXTRAL = "llama-3.1-8b", "mixtral-8x7b-v0.1"


def test_mixtral_in_four_bit_is_still_large_for_its_experts_stay_as_they_are(spec_of, facts):
    whole = predict(spec_of(MIXTRAL), Mode.BF16, Device.GPU, facts=facts)
    narrow = predict(spec_of(MIXTRAL), Mode.NF4, Device.GPU, facts=facts)
    assert whole.weights_bytes == pytest.approx(93.4e9, rel=1e-3)
    assert narrow.weights_bytes > 0.95 * whole.weights_bytes


def test_a_dense_model_in_four_bit_keeps_embedding_and_head(spec_of, facts):
    narrow = predict(spec_of(LLAMA), Mode.NF4, Device.GPU, facts=facts).weights
    embedding_and_head = 2 * 128256 * 4096 * 2
    assert narrow["bfloat16"] == pytest.approx(embedding_and_head, rel=1e-3)
    assert narrow["nf4"] == pytest.approx((8.03e9 - 2 * 128256 * 4096) * (0.5 + 4 / 64), rel=1e-3)


def test_offloading_needs_the_largest_module_where_it_computes(spec_of, facts):
    prediction = predict(spec_of(LLAMA), Mode.CPU_OFFLOAD, Device.GPU, facts=facts)
    needs = prediction.needs()
    assert prediction.module == 128256 * 4096 * 2
    assert needs.gpu.total == prediction.buffers + prediction.module + prediction.forward
    assert needs.host.held == prediction.weights_bytes


def test_a_longer_text_takes_a_longer_cache_and_a_larger_peak(spec_of, facts):
    short, long = (
        predict(spec_of(LLAMA), Mode.BF16, Device.GPU, Workload(1, length), facts)
        for length in (64, 256)
    )
    assert long.cache == 4 * (short.cache or 0)
    assert long.forward > short.forward


def fake(model_type: str, **arguments: Any) -> FakeModel:
    return FakeModel(model_type, arguments, "causal-lm", dtype=torch.bfloat16, attention="sdpa")


def test_a_recurrence_that_is_scanned_in_python_is_drawn_on_from_two_short_runs(monkeypatch):
    sizes = {"hidden_size": 64, "state_size": 16, "num_hidden_layers": 2, "vocab_size": 64}
    in_full = fake("mamba", **sizes).forward(1, 128)
    monkeypatch.setattr(full_size, "MOST_OPERATIONS", 1000)
    drawn = fake("mamba", **sizes).forward(1, 128)
    assert drawn.peak == pytest.approx(in_full.peak, rel=0.05)
    assert drawn.cache == in_full.cache, "a state has no length"


def test_experts_that_are_chosen_by_value_are_counted_as_if_each_got_every_token():
    def peak(experts: int) -> int:
        feed_forward = {"ffn_hidden_size": 256, "moe_num_experts": experts, "moe_top_k": 1}
        attention = {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0}
        sizes = {"d_model": 64, "n_heads": 4, "n_layers": 1, "vocab_size": 64, "max_seq_len": 64}
        model = fake("dbrx", **sizes, attn_config=attention, ffn_config=feed_forward)
        return model.backward(1, 32).peak

    kept_for_each = 32 * 256 * 2
    assert peak(4) - peak(2) >= 2 * 2 * kept_for_each
