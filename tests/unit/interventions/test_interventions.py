from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import nn

from compat.interventions import capture, count_calls, edit_output, gate_heads, patch, steer

HIDDEN = torch.arange(24.0).reshape(2, 3, 4)


class Block(nn.Module):
    """Adds one, and returns what `shape` makes of the sum."""

    def __init__(self, shape: Callable[[torch.Tensor], Any] = lambda hidden: hidden) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, hidden: torch.Tensor) -> Any:
        return self.shape(hidden + 1)


def hooks_on(module: nn.Module) -> int:
    return len(module._forward_hooks) + len(module._forward_pre_hooks)


INTERVENTIONS: dict[str, Callable[[nn.Module], AbstractContextManager[Any]]] = {
    "capture": lambda module: capture({0: module}),
    "count": lambda module: count_calls([module]),
    "edit": lambda module: edit_output(module, torch.neg),
    "steer": lambda module: steer(module, torch.ones(4)),
    "patch": lambda module: patch(module, HIDDEN),
    "gate": lambda module: gate_heads(module, torch.zeros(2)),
}


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_it_is_undone_on_leaving(name: str) -> None:
    block = Block()
    with INTERVENTIONS[name](block):
        assert hooks_on(block) == 1
    assert hooks_on(block) == 0
    assert torch.equal(block(HIDDEN), HIDDEN + 1)


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_it_is_undone_when_something_raises_inside(name: str) -> None:
    block = Block()
    with pytest.raises(KeyboardInterrupt), INTERVENTIONS[name](block):
        raise KeyboardInterrupt
    assert hooks_on(block) == 0


@pytest.mark.parametrize("several", [capture, count_calls], ids=["capture", "count"])
def test_nothing_stays_where_a_later_module_can_not_be_hooked(several: Any) -> None:
    block, no_module = Block(), object()
    modules = {0: block, 1: no_module} if several is capture else [block, no_module]
    with pytest.raises(AttributeError), several(modules):
        pytest.fail("the second module has no hooks")
    assert hooks_on(block) == 0


def test_capture_collects_every_call_of_every_module() -> None:
    first, second = Block(), Block(lambda hidden: (hidden, "cache"))
    with capture({3: first, 7: second}) as captured:
        second(first(HIDDEN))
        first(HIDDEN)
    assert {index: len(states) for index, states in captured.items()} == {3: 2, 7: 1}
    assert torch.equal(captured[7][0], HIDDEN + 2)


def test_captured_states_are_attached_to_the_graph() -> None:
    block, entering = Block(), HIDDEN.clone().requires_grad_()
    with capture({0: block}) as captured:
        block(entering)
    captured[0][0].sum().backward()
    assert entering.grad is not None


def test_calls_are_counted_in_running_order() -> None:
    first, second = Block(), Block()
    with count_calls([first, second]) as order:
        second(HIDDEN)
        first(HIDDEN)
        second(HIDDEN)
    assert order == [1, 0, 1]


def test_an_edit_leaves_what_stands_beside_the_hidden_state() -> None:
    block = Block(lambda hidden: (hidden, "cache"))
    with edit_output(block, torch.neg):
        hidden, cache = block(HIDDEN)
    assert torch.equal(hidden, -(HIDDEN + 1))
    assert cache == "cache"


def test_steering_begins_at_its_position_and_reaches_every_row() -> None:
    block, direction = Block(), torch.tensor([1.0, 0.0, 0.0, 5.0])
    with steer(block, direction, start=2):
        moved = block(HIDDEN) - (HIDDEN + 1)
    assert torch.equal(moved[:, :2], torch.zeros(2, 2, 4))
    assert torch.equal(moved[:, 2], direction.expand(2, 4))


def test_steering_does_not_write_into_the_model_s_own_tensor() -> None:
    own = HIDDEN.clone()
    block = Block(lambda _hidden: own)
    with steer(block, torch.ones(4)):
        block(HIDDEN)
    assert torch.equal(own, HIDDEN)


def test_a_direction_takes_the_precision_of_what_it_steers() -> None:
    block = Block()
    with steer(block, torch.ones(4, dtype=torch.float64)):
        assert block(HIDDEN.bfloat16()).dtype is torch.bfloat16


def test_a_patch_is_what_the_rest_of_the_model_reads() -> None:
    first, second = Block(), Block()
    with patch(first, torch.zeros(2, 3, 4)):
        assert torch.equal(second(first(HIDDEN)), torch.ones(2, 3, 4))


def test_a_patch_of_another_shape_is_refused_with_both_shapes() -> None:
    block = Block()
    with (
        pytest.raises(ValueError, match=r"shape \(2, 3, 4\) by one of shape \(1, 3, 4\)"),
        patch(block, HIDDEN[:1]),
    ):
        block(HIDDEN)
    assert hooks_on(block) == 0


def test_a_gate_multiplies_its_own_head_only() -> None:
    projection = nn.Identity()
    with gate_heads(projection, torch.tensor([1.0, 0.0])):
        gated = projection(HIDDEN)
    assert torch.equal(gated[..., :2], HIDDEN[..., :2])
    assert torch.equal(gated[..., 2:], torch.zeros(2, 3, 2))


def test_open_gates_are_exact() -> None:
    projection = nn.Linear(4, 4)
    with gate_heads(projection, torch.ones(4)):
        gated = projection(HIDDEN)
    assert torch.equal(gated, projection(HIDDEN))


def test_gates_refuse_a_width_that_heads_do_not_divide() -> None:
    projection = nn.Identity()
    with (
        pytest.raises(ValueError, match="a width of 4 does not divide into 3 heads"),
        gate_heads(projection, torch.ones(3)),
    ):
        projection(HIDDEN)


def test_edits_nest_and_are_undone_one_by_one() -> None:
    block = Block()
    with edit_output(block, lambda hidden: hidden * 2):
        with edit_output(block, lambda hidden: hidden + 10):
            assert torch.equal(block(HIDDEN), (HIDDEN + 1) * 2 + 10)
        assert torch.equal(block(HIDDEN), (HIDDEN + 1) * 2)
