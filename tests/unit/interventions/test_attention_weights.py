from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from compat.interventions import attention_weights
from compat.interventions.attention_function import scaled_dot_product_weights
from tests.unit.interventions.models import LAYOUTS, build, logits, sites_of

QUERY, KEY, VALUE = (
    torch.randn(2, 4, 5, 8, generator=torch.Generator().manual_seed(n)) for n in (1, 2, 3)
)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_one_distribution_over_earlier_keys_a_head_and_query(layout: str) -> None:
    with attention_weights(sites_of(layout)) as collected:
        logits(layout)
    for (weights,), site in zip(collected, sites_of(layout), strict=True):
        assert weights.shape[:3] == (1, site.heads, 12)
        torch.testing.assert_close(weights.sum(-1), torch.ones(1, 4, 12))
        assert not weights[..., :12].triu(diagonal=1).any()


def test_weights_seen_in_the_fused_kernel_are_those_of_the_eager_implementation() -> None:
    layout = "grouped heads"
    model: Any = build(layout)
    with attention_weights(sites_of(layout)) as fused:
        logits(layout)
    model.set_attn_implementation("eager")
    with attention_weights(sites_of(layout)) as eager:
        logits(layout)
    model.set_attn_implementation("sdpa")
    torch.testing.assert_close(fused, eager)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": torch.ones(5, 5, dtype=torch.bool).tril()},
        {"attn_mask": torch.randn(2, 1, 5, 5)},
    ],
    ids=["plain", "causal", "scaled", "masked", "biased"],
)
def test_values_summed_by_the_weights_are_what_the_kernel_gives(settings: Any) -> None:
    weights = scaled_dot_product_weights(QUERY, KEY, VALUE, **settings)
    given = scaled_dot_product_attention(QUERY, KEY, VALUE, **settings)
    torch.testing.assert_close(weights @ VALUE, given)


def test_grouped_keys_are_shared_by_neighbouring_heads() -> None:
    weights = scaled_dot_product_weights(QUERY, KEY[:, :2], VALUE[:, :2], enable_gqa=True)
    given = scaled_dot_product_attention(QUERY, KEY[:, :2], VALUE[:, :2], enable_gqa=True)
    torch.testing.assert_close(weights @ VALUE[:, :2].repeat_interleave(2, dim=1), given)
