from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from compat.anatomy.blocks import BlocksNotFoundError, Stack, find_stacks, stacks_that_ran
from compat.anatomy.trace import trace_forward


class Block(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(4, width)
        self.back = nn.Linear(width, 4)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.back(self.linear(hidden))


class OtherBlock(Block):
    pass


class Nested(nn.Module):
    """A block whose parts are in a list, as in T5."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Block() for _ in range(parts))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for part in self.layer:
            hidden = part(hidden)
        return hidden


class Model(nn.Module):
    """Runs its lists in the order of `order`, each from its first block to its last."""

    def __init__(self, order: Sequence[str], **lists: nn.Module) -> None:
        super().__init__()
        self.order = order
        for name, blocks in lists.items():
            self.add_module(name, blocks)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        for name in self.order:
            for block in getattr(self, name):
                hidden = block(hidden)
        return hidden


def blocks(count: int, width: int = 4) -> nn.ModuleList:
    return nn.ModuleList(Block(width) for _ in range(count))


def find(
    model: nn.Module, decoder: int, encoder: int | None = None, vision: int | None = None
) -> tuple[Stack, Stack | None, Stack | None]:
    trace = trace_forward(model, lambda: model(torch.ones(1, 2, 4)))
    return find_stacks(model, trace, decoder=decoder, encoder=encoder, vision=vision)


def test_a_list_that_runs_once_and_in_order_is_the_stack() -> None:
    model = Model(["h"], h=blocks(3))
    decoder, encoder, vision = find(model, 3)
    assert (decoder.path, decoder.blocks) == ("h", tuple(model.h))
    assert (encoder, vision) == (None, None)
    assert decoder.block_path(2) == "h.2"


def test_the_outermost_of_nested_lists_is_the_stack() -> None:
    model = Model(["block"], block=nn.ModuleList(Nested(3) for _ in range(3)))
    assert find(model, 3)[0].path == "block"


def test_lists_inside_of_blocks_are_not_looked_at() -> None:
    model = Model(["block"], block=nn.ModuleList(Nested(2) for _ in range(3)))
    with pytest.raises(BlocksNotFoundError, match=r"2 decoder blocks.*in order: block \(3\)"):
        find(model, 2)


def test_an_encoder_is_what_runs_before_the_decoder() -> None:
    model = Model(["encoder", "decoder"], decoder=blocks(2), encoder=blocks(2))
    decoder, encoder, _ = find(model, 2, encoder=2)
    assert encoder is not None
    assert (encoder.path, decoder.path) == ("encoder", "decoder")


def test_an_encoder_of_another_depth_is_told_from_the_decoder() -> None:
    model = Model(["encoder", "decoder"], encoder=blocks(4), decoder=blocks(2))
    decoder, encoder, _ = find(model, 2, encoder=4)
    assert encoder is not None
    assert (encoder.path, decoder.path) == ("encoder", "decoder")


def test_an_announced_encoder_that_does_not_run_is_missed() -> None:
    model = Model(["decoder"], encoder=blocks(4), decoder=blocks(2))
    with pytest.raises(BlocksNotFoundError, match="4 encoder blocks"):
        find(model, 2, encoder=4)


def test_of_lists_of_one_length_the_heaviest_is_the_decoder() -> None:
    model = Model(["adapters", "h"], adapters=blocks(2, width=1), h=blocks(2, width=16))
    assert find(model, 2)[0].path == "h"


def test_a_vision_tower_is_the_heaviest_list_that_did_not_run() -> None:
    model = Model(["h"], h=blocks(2), tower=blocks(3, width=8), projectors=blocks(3, width=1))
    _, _, vision = find(model, 2, vision=3)
    assert vision is not None
    assert vision.path == "tower"


def test_an_announced_vision_tower_that_is_no_list_is_missed() -> None:
    with pytest.raises(BlocksNotFoundError, match="no idle module list of the 3"):
        find(Model(["h"], h=blocks(2)), 2, vision=3)


@pytest.mark.parametrize(
    "order", [["h", "h"], []], ids=["the stack runs twice", "the stack does not run"]
)
def test_a_list_that_does_not_run_once_is_no_stack(order: list[str]) -> None:
    model = Model(order, h=blocks(2))
    with pytest.raises(BlocksNotFoundError, match="in order: none"):
        find(model, 2)


def test_a_list_that_runs_backwards_is_no_stack() -> None:
    model = Model(["h"], h=blocks(2))
    trace = trace_forward(model, lambda: [block(torch.ones(1, 2, 4)) for block in model.h[::-1]])
    assert stacks_that_ran(model, trace) == ()


def test_a_list_with_a_block_that_never_runs_is_no_stack() -> None:
    model = Model(["h"], h=blocks(2))
    trace = trace_forward(model, lambda: model.h[0](torch.ones(1, 2, 4)))
    assert stacks_that_ran(model, trace) == ()


def test_the_classes_of_a_mixed_stack_are_joined_in_order_of_appearance() -> None:
    stack = Stack("h", (OtherBlock(), Block(), OtherBlock(), Block()))
    assert stack.block_class == "OtherBlock+Block"


def test_tracing_leaves_no_hook_even_when_the_forward_raises() -> None:
    model = Model(["h"], h=blocks(2))
    with pytest.raises(RuntimeError):
        trace_forward(model, lambda: model(torch.ones(1, 2, 7)))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_trace_knows_widths_and_running_order() -> None:
    model = Model(["h"], h=blocks(2, width=8))
    trace = trace_forward(model, lambda: model(torch.ones(1, 2, 4)))
    assert [call.path for call in trace.calls[:3]] == ["h.0", "h.0.linear", "h.0.back"]
    (wide,) = trace.of("h.1.linear")
    assert (wide.input_width, wide.output_width) == (4, 8)
    assert [call.path for call in trace.inside("h.1")] == ["h.1.linear", "h.1.back"]
