from __future__ import annotations

import pytest

from compat.anatomy.meta_build import build_on_meta
from compat.anatomy.outline import Outline
from compat.registry import ModelSpec, Registry, default_registry_path, load_registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(default_registry_path())


def outlined(spec: ModelSpec) -> Outline:
    return build_on_meta(spec.model_type, spec.config_arguments(), spec.model_class.value).outline


def test_blocks_that_are_built_alike_are_one_kind(registry: Registry) -> None:
    outline = outlined(registry.by_id("openai-community/gpt2"))
    (stack,) = outline.stacks
    (kind,) = stack.kinds
    assert (stack.role, stack.path, kind.module) == ("decoder", "transformer.h", "GPT2Block")
    assert kind.at == tuple(range(12))
    assert [part.path for part in kind.parts] == ["ln_1", "attn", "ln_2", "mlp"]
    assert outline.embedding.path == "transformer.wte"
    assert outline.head is not None
    assert outline.head.path == "lm_head"


def test_kinds_of_attention_are_told_apart_by_the_word_of_the_config(registry: Registry) -> None:
    spec = registry.by_id("google/gemma-3-270m")
    (stack,) = outlined(spec).stacks
    types = {kind.layer_type: len(kind.at) for kind in stack.kinds}
    assert set(types) == {"sliding_attention", "full_attention"}
    assert sum(types.values()) == spec.blocks.count


def test_an_encoder_decoder_has_both_its_stacks_in_running_order(registry: Registry) -> None:
    outline = outlined(registry.by_id("google-t5/t5-small"))
    assert [(stack.role, stack.path) for stack in outline.stacks] == [
        ("encoder", "encoder.block"),
        ("decoder", "decoder.block"),
    ]
    last = outline.stacks[1].kinds[-1]
    assert [part.path for part in last.parts] == ["layer.0", "layer.1", "layer.2"]


def test_experts_are_counted_fused_or_not(registry: Registry) -> None:
    spec = registry.by_id("mistralai/Mixtral-8x7B-v0.1")
    (stack,) = outlined(spec).stacks
    assert max(part.experts for part in stack.kinds[0].parts) == spec.config["num_local_experts"]


def test_an_outline_survives_being_written_down(registry: Registry) -> None:
    outline = outlined(registry.by_id("google/gemma-3-270m"))
    assert Outline.model_validate_json(outline.model_dump_json()) == outline
