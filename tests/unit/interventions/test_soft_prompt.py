"""Soft prompts: where they stand, how large they are, and what is frozen beside them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compat.interventions.soft_prompt import draw_soft_prompt, frozen, put_before

VECTORS = torch.tensor([[10.0], [20.0]])
EMBEDS = torch.tensor([[[0.0], [1.0], [2.0]], [[3.0], [4.0], [5.0]]])


def test_it_stands_between_the_padding_on_the_left_and_the_text():
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    embeds, longer = put_before(VECTORS, EMBEDS, mask, "left")
    assert embeds[..., 0].tolist() == [[0, 10, 20, 1, 2], [10, 20, 3, 4, 5]]
    assert longer.tolist() == [[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]]


def test_it_stands_before_a_text_that_is_padded_on_the_right():
    mask = torch.tensor([[1, 0, 0], [1, 1, 1]])
    embeds, longer = put_before(VECTORS, EMBEDS, mask, "right")
    assert embeds[..., 0].tolist() == [[10, 20, 0, 0, 0], [10, 20, 3, 4, 5]]
    assert longer.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


def test_it_takes_the_dtype_of_the_embeddings_and_passes_the_gradient_on():
    vectors = VECTORS.clone().requires_grad_(True)
    embeds, _ = put_before(vectors, EMBEDS.bfloat16(), torch.ones(2, 3), "left")
    embeds.sum().backward()
    assert embeds.dtype is torch.bfloat16
    assert vectors.grad.tolist() == [[2.0], [2.0]]


def test_it_is_drawn_as_large_as_the_embedded_tokens_and_the_same_for_a_seed():
    embedded = torch.full((3, 64), 0.02, dtype=torch.bfloat16)
    drawn = draw_soft_prompt(embedded, 50, seed=1)
    assert drawn.shape == (50, 64)
    assert drawn.dtype is torch.float32
    assert float(drawn.square().mean().sqrt()) == pytest.approx(0.02, rel=0.1)
    assert torch.equal(drawn, draw_soft_prompt(embedded, 50, seed=1))
    assert not torch.equal(drawn, draw_soft_prompt(embedded, 50, seed=2))


def test_frozen_weights_ask_again_afterwards_and_those_that_did_not_still_do_not():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].bias.requires_grad_(False)
    with frozen(model):
        assert not any(weight.requires_grad for weight in model.parameters())
    asking = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert asking == ["0.weight", "0.bias", "1.weight"]


def test_a_weight_that_was_replaced_meanwhile_asks_again():
    model = nn.Linear(2, 2)
    with frozen(model):
        model.weight = nn.Parameter(torch.zeros(2, 2), requires_grad=model.weight.requires_grad)
    assert model.weight.requires_grad
