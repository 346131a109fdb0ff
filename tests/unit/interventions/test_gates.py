from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compat.anatomy.attention import Attention
from compat.interventions import HeadsNotFoundError, gate, gate_sites, open_gates, scale_heads
from compat.subject.pristine import Snapshot, fingerprint
from tests.unit.interventions.models import IDS, LAYOUTS, build, logits, sites_of

layouts = pytest.mark.parametrize("layout", LAYOUTS)
sets_of_gates = st.lists(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=4).map(torch.tensor),
    min_size=2,
    max_size=2,
)


@layouts
def test_open_gates_change_not_one_bit(layout: str) -> None:
    sites = sites_of(layout)
    with gate(sites, open_gates(sites).__getitem__):
        opened = logits(layout)
    assert torch.equal(opened, logits(layout))


@layouts
@settings(derandomize=True, max_examples=25, deadline=None)
@given(gates=sets_of_gates)
def test_any_set_of_closed_gates_is_those_heads_zeroed_inside_the_attention(
    layout: str, gates: list[torch.Tensor]
) -> None:
    sites = sites_of(layout)
    with gate(sites, gates.__getitem__):
        gated = logits(layout)
    with scale_heads(sites, gates) as seen:
        zeroed = logits(layout)
    assert seen == [1, 1]
    assert torch.equal(gated, zeroed)


@layouts
def test_closing_any_one_head_is_heard(layout: str) -> None:
    sites, before = sites_of(layout), logits(layout)
    for index, site in enumerate(sites):
        for head in range(site.heads):
            gates = open_gates(sites)
            gates[index][head] = 0
            with gate(sites, gates.__getitem__):
                assert not torch.equal(logits(layout), before), f"{site.name}, head {head}"


def test_a_closed_gate_is_the_head_s_value_zeroed_in_the_weights() -> None:
    layout = "fused query, key and value"
    sites, width = sites_of(layout), 8
    model: Any = build(layout)
    weights, bias = model.transformer.h[0].attn.c_attn.parameters()
    kept = weights.clone(), bias.clone()
    third = slice(2 * 32 + 3 * width, 2 * 32 + 4 * width)
    weights[:, third], bias[third] = 0, 0
    zeroed = logits(layout)
    weights.copy_(kept[0])
    bias.copy_(kept[1])
    gates = [torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.ones(4)]
    with gate(sites, gates.__getitem__):
        assert torch.equal(logits(layout), zeroed)


@layouts
@settings(derandomize=True, max_examples=10, deadline=None)
@given(gates=sets_of_gates)
def test_gates_leave_no_trace(layout: str, gates: list[torch.Tensor]) -> None:
    model, sites, before = build(layout), sites_of(layout), logits(layout)
    snapshot, weights = Snapshot.of(model), fingerprint(model)
    names = {name for name, _ in model.named_parameters()}
    with gate(sites, gates.__getitem__), scale_heads(sites, gates):
        assert {name for name, _ in model.named_parameters()} == names
        logits(layout)
    snapshot.require_equal(Snapshot.of(model))
    assert fingerprint(model) == weights
    assert torch.equal(logits(layout), before)


def test_gates_are_asked_anew_at_every_forward() -> None:
    layout = "grouped heads"
    sites, before = sites_of(layout), logits(layout)
    gates = open_gates(sites)
    with gate(sites, lambda index: gates[index]):
        gates[0][1] = 0
        assert not torch.equal(logits(layout), before)
        gates[0][1] = 1
        assert torch.equal(logits(layout), before)


def test_heads_are_scaled_inside_a_single_token_s_attention_too() -> None:
    layout = "grouped heads"
    sites = sites_of(layout)
    gates = [torch.tensor([1.0, 0.0, 0.5, 1.0]), torch.tensor([0.0, 1.0, 1.0, 0.5])]
    model: Any = build(layout)
    with torch.no_grad():
        step = []
        for context in (gate(sites, gates.__getitem__), scale_heads(sites, gates)):
            with context:
                cache = model(IDS, use_cache=True).past_key_values
                step.append(model(IDS[:, :1], past_key_values=cache).logits)
    torch.testing.assert_close(*step)


def test_a_forward_that_fails_leaves_the_attention_it_was_in() -> None:
    layout = "grouped heads"
    sites, before = sites_of(layout), logits(layout)
    gates = [torch.zeros(4), torch.zeros(4)]
    with scale_heads(sites, gates) as seen:
        handle = sites[0].projection.register_forward_hook(_fail)
        with pytest.raises(KeyError):
            logits(layout)
        handle.remove()
        nn.functional.softmax(torch.ones(1, 4, 2, 2), dim=-1)
        assert seen == [1, 0], "a softmax outside of attention was taken for one of its heads"
    assert torch.equal(logits(layout), before)


def test_an_attention_without_a_projection_is_refused_by_its_path() -> None:
    attention = Attention("blocks.0.attn", nn.Identity(), None, None, None, 4)
    block = SimpleNamespace(index=0, attention=attention, cross_attention=None)
    with pytest.raises(HeadsNotFoundError, match=r"blocks\.0\.attn can't be gated"):
        gate_sites(SimpleNamespace(blocks=(block,)))


def _fail(*_: Any) -> None:
    raise KeyError
