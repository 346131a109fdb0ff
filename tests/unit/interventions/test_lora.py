"""A LoRA adapter starts as nothing, alone asks for gradients, and leaves the former layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compat.interventions.lora import lora


class Blocks(nn.Module):
    """Two layers of which one is adapted."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x))


@pytest.fixture
def model() -> Blocks:
    return Blocks().eval()


def test_its_weights_alone_ask_for_a_gradient_and_it_changes_nothing_at_first(model):
    x = torch.ones(1, 4)
    before = model(x)
    with lora(model, ["first"], rank=2) as weights:
        assert sorted(weight.shape for weight in weights.values()) == [(2, 4), (6, 2)]
        assert all("lora" in name for name in weights)
        assert torch.equal(model(x), before)


def test_the_former_layer_is_back_and_asks_as_before(model):
    first = model.first
    model.second.bias.requires_grad_(False)
    with pytest.raises(KeyError), lora(model, ["first"]) as weights:
        weights["no such weight"]
    assert model.first is first
    assert not hasattr(model, "peft_config")
    asking = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert asking == ["first.weight", "first.bias", "second.weight"]


def test_a_seed_gives_the_same_adapter_and_leaves_the_random_state_alone(model):
    state = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with lora(model, ["first"], seed=3) as weights:
            drawn.append([weight.detach().clone() for weight in weights.values()])
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
