from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from compat.anatomy.attention import Attention, FeedForward, find_attention, find_feed_forward
from compat.anatomy.trace import trace_forward

WIDTH = 8
CONFIG = SimpleNamespace(num_attention_heads=2)


class Conv1D(nn.Module):
    """A linear layer of another name and the transposed weight, as GPT-2 has."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, out))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ self.weight


class ToyAttention(nn.Module):
    def __init__(self, **output: nn.Module) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.output = next(iter(output), None)
        for name, module in output.items():
            self.add_module(name, module)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mixed = self.q_proj(hidden) + self.k_proj(hidden) + self.v_proj(hidden)
        return mixed if self.output is None else getattr(self, self.output)(mixed)


class Beside(nn.Module):
    """Attention with its output projection beside it, as BERT has."""

    def __init__(self) -> None:
        super().__init__()
        self.self = ToyAttention()
        self.dense = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.dense(self.self(hidden))


class Functional(nn.Module):
    """Projects without a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.ones(WIDTH, WIDTH))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ self.matrix


class Block(nn.Sequential):
    """Runs its parts one after the other."""


def attention_of(**parts: nn.Module) -> tuple[Attention, ...]:
    block = Block()
    for name, part in parts.items():
        block.add_module(name, part)
    model = nn.ModuleDict({"h": block})
    trace = trace_forward(model, lambda: block(torch.ones(1, 2, WIDTH)))
    return find_attention(block, "h", trace, CONFIG)


def feed_forward_of(**parts: nn.Module) -> FeedForward | None:
    block = Block()
    for name, part in parts.items():
        block.add_module(name, part)
    model = nn.ModuleDict({"h": block})
    trace = trace_forward(model, lambda: block(torch.ones(1, 2, WIDTH)))
    return find_feed_forward(block, "h", find_attention(block, "h", trace, CONFIG))


def test_the_last_linear_layer_that_runs_inside_is_the_projection() -> None:
    (found,) = attention_of(attn=ToyAttention(o_proj=nn.Linear(WIDTH, WIDTH)))
    assert found.projection_path == "h.attn.o_proj"


def test_any_matrix_multiplying_module_counts_as_linear() -> None:
    (found,) = attention_of(attn=ToyAttention(c_proj=Conv1D(WIDTH, WIDTH)))
    assert found.projection_path == "h.attn.c_proj"


def test_a_projection_beside_the_attention_is_found_under_their_parent() -> None:
    (found,) = attention_of(attention=Beside(), mlp=nn.Linear(WIDTH, WIDTH))
    assert (found.path, found.projection_path) == ("h.attention.self", "h.attention.dense")


def test_the_feed_forward_part_is_not_taken_for_a_hidden_projection() -> None:
    (found,) = attention_of(attn=ToyAttention(out=Functional()), mlp=nn.Linear(WIDTH, WIDTH))
    assert (found.projection_path, found.projection, found.head_width) == (None, None, None)


def test_head_width_comes_from_what_enters_the_projection() -> None:
    (found,) = attention_of(attn=ToyAttention(o_proj=nn.Linear(WIDTH, 2 * WIDTH)))
    assert (found.heads, found.projection_width, found.head_width) == (2, WIDTH, WIDTH // 2)


def test_heads_that_do_not_divide_the_width_have_no_width() -> None:
    attention = ToyAttention(o_proj=nn.Linear(WIDTH, WIDTH))
    attention.num_heads = 3
    (found,) = attention_of(attn=attention)
    assert (found.heads, found.head_width) == (3, None)


def test_self_attention_comes_before_cross_attention_whatever_their_names() -> None:
    first, second = (ToyAttention(o_proj=nn.Linear(WIDTH, WIDTH)) for _ in range(2))
    found = attention_of(z_attn=first, a_attn=second)
    assert [attention.path for attention in found] == ["h.z_attn", "h.a_attn"]


def test_a_block_without_attention_has_none() -> None:
    assert attention_of(mixer=nn.Linear(WIDTH, WIDTH)) == ()


def test_the_feed_forward_part_is_the_largest_that_is_no_attention() -> None:
    attention = ToyAttention(o_proj=nn.Linear(WIDTH, WIDTH))
    mlp = nn.Sequential(nn.Linear(WIDTH, 2), nn.Linear(2, WIDTH))
    found = feed_forward_of(attn=attention, adapter=nn.Linear(WIDTH, WIDTH), mlp=mlp)
    assert found is not None
    assert (found.path, found.experts) == ("h.adapter", "none")


def test_norms_are_no_feed_forward_part() -> None:
    attention = ToyAttention(o_proj=nn.Linear(WIDTH, WIDTH))
    assert feed_forward_of(attn=attention, norm=nn.LayerNorm(WIDTH)) is None


def test_experts_one_module_each_are_told_from_fused_ones() -> None:
    class Mixture(nn.Module):
        def __init__(self, experts: nn.Module) -> None:
            super().__init__()
            self.gate = nn.Linear(WIDTH, 2)
            self.experts = experts

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden

    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate_up_proj = nn.Parameter(torch.ones(2, WIDTH, WIDTH))

    one_each = Mixture(nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2)))
    for mixture, kind in ((one_each, "list"), (Mixture(Fused()), "fused")):
        found = feed_forward_of(mlp=mixture)
        assert found is not None
        assert found.experts == kind
