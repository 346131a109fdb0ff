from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from compat.checks.registry import load_catalogue
from compat.registry.spec import ModelClass
from compat.subject.capabilities import (
    CAPABILITIES,
    UnknownCapabilityError,
    capability_named,
)
from compat.targets import Mode, Shape
from compat.targets.capabilities import known_capabilities

SHAPE = Shape(blocks=2, hidden=4, vocabulary=8)


def looks_like(**parts: Any) -> Any:
    """A stand-in for a subject with just the parts that a capability looks at."""
    return SimpleNamespace(**parts)


def placed(*devices: str) -> Any:
    """A model with a weight on each of these devices."""
    weights = [looks_like(device=device, is_meta=device == "meta") for device in devices]
    return looks_like(model=looks_like(parameters=lambda: weights))


@pytest.mark.parametrize(
    ("capability", "with_it", "without_it"),
    [
        ("encoder", looks_like(has_encoder=True), looks_like(has_encoder=False)),
        ("decoder-only", looks_like(has_encoder=False), looks_like(has_encoder=True)),
        (
            "vision",
            looks_like(checkpoint=SimpleNamespace(shape=Shape(2, 4, 8, vision_blocks=3))),
            looks_like(checkpoint=SimpleNamespace(shape=SHAPE)),
        ),
        (
            "attention",
            looks_like(anatomy=SimpleNamespace(blocks=[looks_like(attention=object())])),
            looks_like(anatomy=SimpleNamespace(blocks=[looks_like(attention=None)])),
        ),
        (
            "hidden-states",
            looks_like(run=looks_like(hidden_states=())),
            looks_like(run=looks_like(hidden_states=None)),
        ),
        (
            "inputs-embeds",
            looks_like(forward_arguments={"input_ids", "inputs_embeds"}),
            looks_like(forward_arguments={"input_ids"}),
        ),
        (
            "chat-template",
            looks_like(tokenizer=looks_like(chat_template="{{ messages }}")),
            looks_like(tokenizer=looks_like(chat_template=None)),
        ),
        (
            "end-of-text",
            looks_like(tokenizer=looks_like(eos_token_id=0)),
            looks_like(tokenizer=looks_like(eos_token_id=None)),
        ),
        ("taught-weights", looks_like(taught=True), looks_like(taught=False)),
        ("quantized", looks_like(mode=Mode.NF4), looks_like(mode=Mode.BF16)),
        ("resident-weights", placed("cpu"), placed("cpu", "meta")),
        ("offloaded", placed("cpu", "meta"), placed("cpu")),
        ("divided-weights", placed("cpu", "meta"), placed("cpu", "cpu")),
        ("divided-weights", placed("cuda:0", "cuda:1"), placed("cuda:0", "cuda:0")),
    ],
)
def test_a_capability_is_seen_where_it_is(capability: str, with_it: Any, without_it: Any) -> None:
    judge = CAPABILITIES[capability]
    assert judge(with_it) is True
    assert judge(without_it) is False


def test_a_name_of_no_capability_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UnknownCapabilityError, match=r"'inputs-embed'; there are .*inputs-embeds"):
        capability_named("inputs-embed")


def test_every_capability_that_a_check_needs_is_known_somewhere() -> None:
    entry = SimpleNamespace(
        model_class=ModelClass.CAUSAL_LM,
        encoder=None,
        vision=None,
        chat_template=True,
        checkpoint=SimpleNamespace(quantization=None),
    )
    entry.models = (entry,)
    at_collection = known_capabilities(entry, SimpleNamespace(mode=Mode.FP32, weights=None))
    needed = {need for check in load_catalogue() for need in check.needs}
    assert needed <= CAPABILITIES.keys() | at_collection.keys()


@pytest.mark.parametrize(
    ("mode", "known"),
    [
        (Mode.NF4, {"resident-weights": True, "offloaded": False, "divided-weights": False}),
        (
            Mode.DISK_OFFLOAD,
            {"resident-weights": False, "offloaded": True, "divided-weights": True},
        ),
        (Mode.AUTO, {}),
    ],
)
def test_where_weights_will_be_is_known_but_for_auto(mode: Mode, known: dict[str, bool]) -> None:
    entry = SimpleNamespace(
        model_class=ModelClass.CAUSAL_LM,
        encoder=None,
        vision=None,
        chat_template=None,
        checkpoint=SimpleNamespace(quantization=None),
    )
    entry.models = (entry,)
    found = known_capabilities(entry, SimpleNamespace(mode=mode, weights=None))
    assert {name: found[name] for name in known} == known
    assert known or not {"resident-weights", "offloaded", "divided-weights"} & found.keys()
