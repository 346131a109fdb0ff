"""Attention implementations are switched and undone; windows and sinks are read off the model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from compat.outcomes import NotApplicable
from compat.subject.attention import (
    has_sinks,
    implementation,
    other_implementations,
    window_of,
)


class Model(nn.Module):
    """Switches between implementations, or keeps its own."""

    def __init__(self, *, switches: bool = True, sdpa: bool = True) -> None:
        super().__init__()
        self.config = SimpleNamespace(_attn_implementation="sdpa")
        self.dtype = torch.float32
        self._supports_sdpa = sdpa
        self.switches = switches

    def set_attn_implementation(self, name):
        if self.switches:
            self.config._attn_implementation = name


def test_an_implementation_is_undone_whatever_happens():
    model = Model()
    with pytest.raises(ZeroDivisionError), implementation(model, "eager"):
        assert 1 / (model.config._attn_implementation == "sdpa")
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_keeps_its_implementation_is_not_taken_for_one_that_switched():
    with (
        pytest.raises(NotApplicable, match="stays sdpa"),
        implementation(Model(switches=False), "eager"),
    ):
        pass


@pytest.mark.parametrize(
    ("own", "sdpa", "others"),
    [("sdpa", True, ["eager"]), ("eager", True, ["sdpa"]), ("eager", False, [])],
)
def test_the_others_are_those_that_the_class_supports_on_this_device(own, sdpa, others):
    model = Model(sdpa=sdpa)
    model.config._attn_implementation = own
    assert other_implementations(model, torch.device("cpu")) == others


@pytest.mark.parametrize(
    ("config", "windows"),
    [
        ({"sliding_window": None}, [None, None]),
        ({"sliding_window": 0}, [None, None]),
        ({"sliding_window": 8}, [8, 8]),
        ({"sliding_window": 8, "use_sliding_window": False}, [None, None]),
        ({"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}, [8, None]),
        ({}, [None, None]),
    ],
)
def test_the_window_of_a_block_is_the_configs_where_its_layer_slides(config, windows):
    text = SimpleNamespace(**config)
    model = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda decoder: text))
    assert [window_of(model, SimpleNamespace(index=index)) for index in range(2)] == windows


def test_sinks_are_told_by_a_parameter_of_the_attention_itself():
    attention = nn.Module()
    attention.inner = nn.Module()
    attention.inner.register_parameter("sinks", nn.Parameter(torch.zeros(4)))
    assert not has_sinks(attention)
    assert has_sinks(attention.inner)
