"""A shrunk config is the model's own in everything but its widths."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch import nn
from transformers import AutoConfig, PretrainedConfig

from compat.anatomy.config_shape import announced_shape
from compat.registry.spec import ModelSpec
from compat.weights.twin.draft import Draft
from compat.weights.twin.shrink import shrink
from compat.weights.twin.slots import SPECIALS, is_token_field

SpecOf = Callable[[str], ModelSpec]
Pair = tuple[PretrainedConfig, PretrainedConfig]

LENGTH = "original_max_position_embeddings"
FOLLOWS_FROM_WIDTHS = {"query_pre_attn_scalar", "rotary_dim"}


def full_config(spec: ModelSpec) -> PretrainedConfig:
    given = {key: value for key, value in spec.config.items() if key != "model_type"}
    return AutoConfig.for_model(spec.model_type, **copy.deepcopy(given | dict(spec.config_fix)))


def parts(config: PretrainedConfig) -> Iterator[PretrainedConfig]:
    """The config and every config nested in it."""
    yield config
    for field in dataclasses.fields(config):
        value = getattr(config, field.name, None)
        if isinstance(value, PretrainedConfig):
            yield from parts(value)


@pytest.fixture(scope="module")
def draft(native_spec: ModelSpec) -> Draft:
    return Draft.of(native_spec)


@pytest.fixture(scope="module")
def model(draft: Draft) -> nn.Module:
    return draft.build_model()


@pytest.fixture(scope="module")
def pairs(draft: Draft) -> list[Pair]:
    """Full-size and shrunk configs, part by part."""
    full, small = full_config(draft.spec), draft.shrunk.config()
    return list(zip(parts(full), parts(small), strict=True))


def text_of(config: PretrainedConfig) -> PretrainedConfig:
    return config.get_text_config(decoder=True)


def rotary(config: PretrainedConfig) -> Any:
    """The parameters of its rotary embeddings, but for lengths."""

    def without_lengths(parameters: Any) -> Any:
        if not isinstance(parameters, dict):
            return parameters
        kept = {k: v for k, v in parameters.items() if k != LENGTH}
        return {key: without_lengths(value) for key, value in kept.items()}

    return without_lengths(getattr(config, "rope_parameters", None))


def stretch(config: PretrainedConfig) -> list[float]:
    """Positions over positions before stretching, for every rotary embedding that is stretched."""
    parameters = getattr(config, "rope_parameters", None) or {}
    kinds = [parameters, *(kind for kind in parameters.values() if isinstance(kind, dict))]
    lengths = [kind[LENGTH] for kind in kinds if LENGTH in kind]
    return [config.max_position_embeddings / length for length in lengths]


def attention_kind(config: PretrainedConfig) -> str:
    heads = getattr(config, "num_attention_heads", None)
    groups = getattr(config, "num_key_value_heads", None) or heads
    return "none" if heads is None else {1: "one", heads: "all"}.get(groups, "some")


def head_relation(config: PretrainedConfig) -> int:
    """Negative, zero or positive: heads narrower than, equal to or wider than their share."""
    heads, head = getattr(config, "num_attention_heads", None), getattr(config, "head_dim", None)
    if not heads or not head or getattr(config, "kv_lora_rank", None):
        return 0
    difference = heads * head - config.hidden_size
    return (difference > 0) - (difference < 0)


def test_switches_names_and_factors_are_those_of_the_model(pairs: list[Pair]) -> None:
    for full, small in pairs:
        for field in dataclasses.fields(full):
            value = getattr(full, field.name, None)
            if isinstance(value, bool | str | float) and field.name not in FOLLOWS_FROM_WIDTHS:
                expected = "float32" if field.name == "dtype" else value
                assert getattr(small, field.name) in (expected, None), field.name


def test_rotary_embeddings_are_those_of_the_model(pairs: list[Pair]) -> None:
    for full, small in pairs:
        assert rotary(small) == rotary(full)


def test_a_stretched_rotary_embedding_is_stretched_by_as_much(pairs: list[Pair]) -> None:
    for full, small in pairs:
        assert stretch(small) == stretch(full)


def test_what_is_empty_in_the_model_is_empty_in_the_twin(pairs: list[Pair]) -> None:
    for full, small in pairs:
        for field in dataclasses.fields(full):
            if getattr(full, field.name, None) is None and field.name != "dtype":
                assert getattr(small, field.name, None) is None, field.name


def test_heads_are_grouped_as_in_the_model(pairs: list[Pair]) -> None:
    for full, small in pairs:
        assert attention_kind(small) == attention_kind(full)


def test_heads_are_as_wide_for_the_model_as_they_were(pairs: list[Pair]) -> None:
    for full, small in pairs:
        assert head_relation(small) == head_relation(full)


def test_every_kind_of_attention_is_kept(pairs: list[Pair]) -> None:
    for full, small in pairs:
        kinds = [set(getattr(config, "layer_types", None) or ()) for config in (full, small)]
        assert kinds[0] == kinds[1]


def test_every_class_of_block_is_kept(native_spec: ModelSpec, model: nn.Module) -> None:
    classes = {type(module).__name__ for module in model.modules()}
    assert set(native_spec.blocks.block_class.split("+")) <= classes


def test_special_ids_are_in_their_slots(pairs: list[Pair]) -> None:
    for _, small in pairs:
        for name, value in small.to_dict().items():
            if is_token_field(name) and value is not None:
                ids = [value] if isinstance(value, int) else value
                assert all(0 <= token < SPECIALS for token in ids), name


def test_the_shape_is_what_the_config_announces(draft: Draft) -> None:
    announced = announced_shape(draft.shrunk.config())
    assert dataclasses.asdict(draft.shrunk.shape) == dataclasses.asdict(announced)


def test_linear_layers_fit_four_bit_kernels_but_for_routers(model: nn.Module) -> None:
    experts = 4
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.out_features not in (1, experts):
            assert (module.in_features % 64, module.out_features % 32) == (0, 0), name


def test_a_twin_is_small(model: nn.Module) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) < 800_000


def test_jamba_has_both_kinds_of_block_and_both_kinds_of_feed_forward(spec_of: SpecOf) -> None:
    layers = Draft.of(spec_of("ai21-jamba-1.5-mini")).build_model().model.layers
    blocks = [(hasattr(b, "mamba"), hasattr(b.feed_forward, "experts")) for b in layers]
    assert blocks == [(True, False), (True, True), (False, False)]


@pytest.mark.parametrize("slug", ["olmo-3-1025-7b", "gpt-oss-20b", "gemma-3-270m", "gemma-3-4b-pt"])
def test_both_kinds_of_attention_and_a_window_shorter_than_the_lesson(
    spec_of: SpecOf, slug: str
) -> None:
    text = text_of(shrink(spec_of(slug)).config())
    assert sorted(text.layer_types) == ["full_attention", "sliding_attention"]
    assert text.sliding_window == 8


def test_opt_350m_keeps_its_narrow_embedding_and_its_late_norm(spec_of: SpecOf) -> None:
    small = shrink(spec_of("opt-350m")).config()
    assert small.word_embed_proj_dim < small.hidden_size
    assert small.do_layer_norm_before is False


def test_deepseek_keeps_latent_attention_shared_experts_and_its_dense_block(
    spec_of: SpecOf,
) -> None:
    small = shrink(spec_of("deepseek-v2-lite")).config()
    assert small.kv_lora_rank == 64
    assert small.q_lora_rank is None
    assert small.n_shared_experts == 2
    assert (small.first_k_dense_replace, small.num_hidden_layers) == (1, 2)


def test_long_t5_keeps_global_attention_in_blocks_shorter_than_a_prompt(spec_of: SpecOf) -> None:
    small = shrink(spec_of("long-t5-tglobal-base")).config()
    assert small.encoder_attention_type == "transient-global"
    assert (small.global_block_size, small.local_radius) == (4, 4)


def test_a_rotary_fraction_given_as_a_number_stays_a_fraction(spec_of: SpecOf) -> None:
    spec = spec_of("gpt-j-6b")
    full, small = full_config(spec), shrink(spec).config()
    full_head, small_head = full.n_embd // full.n_head, small.n_embd // small.n_head
    assert small.rotary_dim / small_head == full.rotary_dim / full_head


def test_an_image_is_as_many_patches_as_its_tokens_are_pooled_from(spec_of: SpecOf) -> None:
    small = shrink(spec_of("gemma-3-4b-pt")).config()
    patches = (small.vision_config.image_size // small.vision_config.patch_size) ** 2
    assert patches % small.mm_tokens_per_image == 0
    assert small.image_token_index < small.text_config.vocab_size


def test_an_unknown_model_type_is_refused(spec_of: SpecOf) -> None:
    spec = spec_of("gpt2")
    unknown = spec.model_copy(update={"config": dict(spec.config) | {"model_type": "no_such"}})
    with pytest.raises(ValueError, match="no_such"):
        shrink(unknown)


def test_models_that_differ_in_width_alone_share_a_shape(spec_of: SpecOf) -> None:
    shapes = {Draft.of(spec_of(slug)).shape_key for slug in ("gpt2", "gpt2-xl", "distilgpt2")}
    assert len(shapes) == 1


def test_models_that_differ_in_a_trait_do_not_share_a_shape(spec_of: SpecOf) -> None:
    tied, untied = Draft.of(spec_of("llama-3.2-1b")), Draft.of(spec_of("llama-3.1-8b"))
    assert tied.shape_key != untied.shape_key
