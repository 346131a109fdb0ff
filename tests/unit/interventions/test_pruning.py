from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compat.interventions import GateSite, entropy_order, magnitude_order, pruning_gates
from compat.interventions.head_statistics import (
    AttentionNotSeenError,
    head_contributions,
    head_entropies,
    normalised_entropy,
)
from compat.interventions.pruning import random_order, smallest_first
from tests.unit.interventions.models import LAYOUTS, build, logits, sites_of

shares = st.floats(0, 1)


def sites(*heads: int) -> list[GateSite]:
    nothing = nn.Identity()
    return [GateSite(index, "self", nothing, nothing, number) for index, number in enumerate(heads)]


numbers_of_heads = st.lists(st.integers(1, 16), min_size=1, max_size=6)


@settings(derandomize=True, max_examples=100)
@given(heads=numbers_of_heads, seed=st.integers(0, 2**32), less=shares, more=shares)
def test_more_pruning_closes_the_same_gates_and_never_fewer(
    heads: list[int], seed: int, less: float, more: float
) -> None:
    less, more = sorted((less, more))
    order = random_order(sites(*heads), seed)
    lightly = torch.cat(pruning_gates(sites(*heads), order, less))
    heavily = torch.cat(pruning_gates(sites(*heads), order, more))
    assert bool((heavily <= lightly).all())
    assert int((lightly == 0).sum()) == round(less * sum(heads))


@settings(derandomize=True, max_examples=50)
@given(heads=numbers_of_heads, seed=st.integers(0, 2**32))
def test_a_random_order_names_every_head_once_and_repeats_with_its_seed(
    heads: list[int], seed: int
) -> None:
    order = random_order(sites(*heads), seed)
    assert sorted(order) == [(i, head) for i, number in enumerate(heads) for head in range(number)]
    assert random_order(sites(*heads), seed) == order


def test_seeds_give_different_orders() -> None:
    assert len({tuple(random_order(sites(8, 8), seed)) for seed in range(5)}) == 5


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        pruning_gates(sites(4), random_order(sites(4), 0), share)


def test_heads_of_one_value_are_ordered_by_their_place() -> None:
    assert smallest_first([torch.tensor([1.0, 0.0]), torch.tensor([0.0])]) == [
        (0, 1),
        (1, 0),
        (0, 0),
    ]


def test_entropy_is_0_on_one_key_and_1_on_all_that_are_visible() -> None:
    on_one = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    on_all = torch.ones(3, 3).tril() / torch.tensor([[1.0], [2.0], [3.0]])
    entropies = normalised_entropy(torch.stack([on_all, on_one, (on_all + on_one) / 2])[None])
    assert entropies[0] == pytest.approx(1)
    assert entropies[1] == 0
    assert 0 < entropies[2] < 1


def test_a_query_without_a_choice_says_nothing() -> None:
    assert normalised_entropy(torch.ones(1, 2, 1, 1)).tolist() == [0, 0]


def test_nan_in_the_weights_stays_nan() -> None:
    weights = torch.tensor([[0.5, 0.5], [math.nan, math.nan]])
    assert normalised_entropy(weights[None, None]).isnan().all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_head_that_adds_nothing_goes_first(layout: str) -> None:
    own = sites_of(layout)
    share = own[1].projection.weight if layout.startswith("fused") else own[1].projection.weight.T
    width = share.shape[0] // 4
    silenced = share[2 * width : 3 * width].clone()
    share[2 * width : 3 * width] = 0
    order = magnitude_order(own, lambda: logits(layout))
    share[2 * width : 3 * width] = silenced
    assert order[0] == (1, 2)


def test_contributions_count_a_bias_for_no_head() -> None:
    projection = nn.Linear(4, 2)
    nn.init.ones_(projection.weight)
    nn.init.constant_(projection.bias, 100.0)
    site = GateSite(0, "self", projection, projection, 2)
    (lengths,) = head_contributions(
        [site], lambda: projection(torch.tensor([[[3.0, 1.0, 0.0, 0.0]]]))
    )
    assert lengths.tolist() == pytest.approx([4 * math.sqrt(2), 0], abs=1e-4)


def test_the_least_selective_head_goes_first() -> None:
    layout = "grouped heads"
    own = sites_of(layout)
    queries = build(layout).get_parameter("model.layers.1.self_attn.q_proj.weight")
    kept = queries[8:16].clone()
    queries[8:16] = 0
    order = entropy_order(own, lambda: logits(layout))
    entropies = head_entropies(own, lambda: logits(layout))
    queries[8:16] = kept
    assert order[0] == (1, 1)
    assert entropies[1][1] == pytest.approx(1)


def test_an_attention_that_shows_no_weights_is_named() -> None:
    with pytest.raises(AttentionNotSeenError, match="block 0, self-attention"):
        head_entropies(sites(4), lambda: None)
