"""What training borrows of a model it gives back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compat.subject.training import checkpointing, entries, trainable


class Checkpointed(nn.Module):
    """A block that can be checkpointed, beside a dropout that is off."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.dropout = nn.Linear(2, 2), nn.Dropout(0.5)
        self.block.gradient_checkpointing = False
        self.input_hooks = 0
        self.eval()

    def activation_checkpointing_enable(self):
        self.block.gradient_checkpointing = True
        self.input_hooks += 1

    def activation_checkpointing_disable(self):
        self.block.gradient_checkpointing = False

    def disable_input_require_grads(self):
        self.input_hooks -= 1


@pytest.mark.parametrize("enabled", [True, False])
def test_parts_that_can_be_checkpointed_train_inside_and_nothing_else_does(enabled):
    model = Checkpointed()
    with checkpointing(model, enabled=enabled):
        assert model.block.training
        assert model.block.gradient_checkpointing is enabled
        assert not model.dropout.training
    assert not model.block.training
    assert not model.block.gradient_checkpointing
    assert model.input_hooks == 0


def test_chance_is_the_same_with_and_without_checkpointing_and_untouched_outside():
    model, state = Checkpointed(), torch.get_rng_state()
    drawn = []
    for enabled in (True, False):
        with checkpointing(model, enabled=enabled):
            drawn.append(float(torch.rand(())))
    assert drawn[0] == drawn[1]
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_that_are_not_in_memory_or_do_not_ask_are_not_trained():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    model[0].bias.requires_grad_(False)
    assert list(trainable(model)) == ["0.weight"]


def test_entries_are_counted_though_a_module_is_never_left():
    class Stops(nn.Module):
        def forward(self, x):
            raise RuntimeError("enough")

    module = Stops()
    with entries([module]) as order, pytest.raises(RuntimeError, match="enough"):
        module(0)
    assert order == [0]
    assert not module._forward_pre_hooks
