"""Bytes of a cache: heads, windows, an encoder, states, and views that keep more alive."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache, EncoderDecoderCache, LlamaConfig, MistralConfig

from compat.anatomy.kv_cache import cache_bytes, cache_of

SIZES = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
HEAD = 16


def filled(config: LlamaConfig | MistralConfig, tokens: int, batch: int = 1) -> DynamicCache:
    cache = DynamicCache(config=config)
    for layer in range(config.num_hidden_layers):
        states = torch.zeros(batch, config.num_key_value_heads, tokens, HEAD)
        cache.update(states, states.clone(), layer)
    return cache


@given(heads=st.sampled_from([1, 2, 4]), tokens=st.integers(1, 20), batch=st.integers(1, 3))
def test_a_plain_cache_grows_with_key_value_heads_tokens_and_rows(
    heads: int, tokens: int, batch: int
) -> None:
    cache = filled(LlamaConfig(**SIZES, num_key_value_heads=heads), tokens, batch)
    assert cache_bytes(cache) == 2 * 2 * batch * heads * tokens * HEAD * 4


def test_a_sliding_window_keeps_what_the_next_token_sees() -> None:
    config = MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=8)
    cache = filled(config, 4)
    for _ in range(9):
        for layer in range(2):
            cache.update(torch.zeros(1, 2, 1, HEAD), torch.zeros(1, 2, 1, HEAD), layer)
    assert [layer.keys.shape[-2] for layer in cache.layers] == [7, 7]


def test_both_caches_of_an_encoder_decoder_count() -> None:
    config = LlamaConfig(**SIZES, num_key_value_heads=2)
    own, crossed = filled(config, 3), filled(config, 9)
    both = cache_bytes(own) + cache_bytes(crossed)
    assert cache_bytes(EncoderDecoderCache(own, crossed)) == both


def test_a_tensor_that_is_kept_twice_counts_once() -> None:
    cache = filled(LlamaConfig(**SIZES, num_key_value_heads=2), 3)
    before = cache_bytes(cache)
    cache.layers[0].again = cache.layers[0].keys
    assert cache_bytes(cache) == before


def test_a_view_counts_all_that_it_keeps_alive() -> None:
    cache = filled(LlamaConfig(**SIZES, num_key_value_heads=2), 3)
    before = cache_bytes(cache)
    cache.layers[0].keys = torch.zeros(1000)[:1]
    assert cache_bytes(cache) == before - 2 * 3 * HEAD * 4 + 4000


def test_states_in_lists_and_dictionaries_count() -> None:
    cache = DynamicCache()
    cache.states = [{"convolution": torch.zeros(8)}, (torch.zeros(2, dtype=torch.float16),)]
    assert cache_bytes(cache) == 32 + 4


@pytest.mark.parametrize("field", ["past_key_values", "cache_params"])
def test_attention_and_recurrent_models_name_their_cache_differently(field: str) -> None:
    cache = DynamicCache()
    assert cache_of(SimpleNamespace(**{field: cache})) is cache


def test_an_output_without_a_cache_has_none() -> None:
    assert cache_of(SimpleNamespace(logits=torch.zeros(1), past_key_values=None)) is None
