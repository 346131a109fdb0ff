"""What a config announces, under whichever names it uses."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from transformers import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from compat.anatomy.config_shape import AnnouncedShape, ConfigShapeError, announced_shape

PLAIN = {"num_hidden_layers": 2, "hidden_size": 64, "vocab_size": 256, "num_attention_heads": 4}


def shape_of(**changes: Any) -> AnnouncedShape:
    config = {**PLAIN, **changes}
    return announced_shape({key: value for key, value in config.items() if value is not None})


def test_a_plain_decoder_has_no_other_stack() -> None:
    assert shape_of() == AnnouncedShape(
        blocks=2,
        hidden=64,
        vocabulary=256,
        heads=4,
        key_value_heads=4,
        head=16,
        encoder_blocks=None,
        vision_blocks=None,
    )


@pytest.mark.parametrize("name", ["n_layer", "n_layers", "num_layers", "num_blocks"])
def test_blocks_go_by_many_names(name: str) -> None:
    assert shape_of(num_hidden_layers=None, **{name: 7}).blocks == 7


@pytest.mark.parametrize("name", ["d_model", "n_embd", "emb_dim", "dim"])
def test_the_width_goes_by_many_names(name: str) -> None:
    assert shape_of(hidden_size=None, **{name: 32}).hidden == 32


@pytest.mark.parametrize("name", ["n_head", "n_heads", "num_heads"])
def test_heads_go_by_many_names(name: str) -> None:
    assert shape_of(num_attention_heads=None, **{name: 8}).heads == 8


def test_grouped_heads_are_counted() -> None:
    assert shape_of(num_key_value_heads=2).key_value_heads == 2


def test_a_head_may_be_wider_than_its_share() -> None:
    assert shape_of(head_dim=128).head == 128


def test_latent_attention_has_a_value_of_its_own_width_for_every_head() -> None:
    shape = shape_of(kv_lora_rank=32, head_dim=8, v_head_dim=24, num_key_value_heads=2)
    assert (shape.key_value_heads, shape.head) == (4, 24)


def test_multi_query_attention_shares_one_head() -> None:
    assert shape_of(multi_query=True, num_kv_heads=4).key_value_heads == 1


def test_falcons_new_architecture_groups_its_heads() -> None:
    shape = shape_of(multi_query=True, new_decoder_architecture=True, num_kv_heads=2)
    assert shape.key_value_heads == 2


def test_groups_may_be_announced_with_the_attention() -> None:
    assert shape_of(attn_config={"kv_n_heads": 2}).key_value_heads == 2


def test_code_on_the_hub_may_name_everything_its_own_way() -> None:
    shape = announced_shape(
        {
            "num_layers": 28,
            "hidden_size": 4096,
            "padded_vocab_size": 65024,
            "vocab_size": 64794,
            "num_attention_heads": 32,
            "multi_query_attention": True,
            "multi_query_group_num": 2,
            "kv_channels": 128,
        }
    )
    assert shape == AnnouncedShape(28, 4096, 65024, 32, 2, 128, None, None)


@pytest.mark.parametrize(
    ("config", "decoder", "encoder"),
    [
        ({"num_layers": 6, "num_decoder_layers": 3}, 3, 6),
        ({"encoder_layers": 6, "decoder_layers": 3, "num_hidden_layers": 6}, 3, 6),
    ],
    ids=["t5", "bart"],
)
def test_an_encoder_is_counted_apart_from_its_decoder(
    config: dict[str, int], decoder: int, encoder: int
) -> None:
    changes = {"num_hidden_layers": None, **config}
    shape = shape_of(is_encoder_decoder=True, **changes)
    assert (shape.blocks, shape.encoder_blocks) == (decoder, encoder)


def test_text_and_vision_may_lie_in_sub_configs() -> None:
    shape = announced_shape({"text_config": PLAIN, "vision_config": {"depth": 5, "hidden_size": 9}})
    assert (shape.blocks, shape.hidden, shape.vision_blocks) == (2, 64, 5)


def test_text_and_vision_may_lie_in_one_sub_config() -> None:
    inner = {"text_config": PLAIN, "vision_config": {"num_hidden_layers": 3}}
    shape = announced_shape({"thinker_config": inner})
    assert (shape.blocks, shape.vision_blocks) == (2, 3)


def test_layers_without_attention_have_no_heads() -> None:
    shape = shape_of(layer_types=["mamba", "mamba"], num_heads=8)
    assert (shape.heads, shape.key_value_heads, shape.head) == (None, None, None)


def test_one_layer_with_attention_gives_the_model_heads() -> None:
    assert shape_of(layer_types=["linear_attention", "full_attention"]).heads == 4


def test_a_width_that_differs_by_layer_is_no_number() -> None:
    shape = announced_shape(AutoConfig.for_model("gemma4_text"))
    assert shape.heads is not None
    assert shape.head is None


@pytest.mark.parametrize("missing", ["num_hidden_layers", "hidden_size", "vocab_size"])
def test_what_every_model_must_announce_is_asked_for(missing: str) -> None:
    with pytest.raises(ConfigShapeError, match=f"looked for .*{missing}"):
        shape_of(**{missing: None})


def test_a_number_that_is_not_positive_announces_nothing() -> None:
    with pytest.raises(ConfigShapeError):
        shape_of(num_hidden_layers=0)


def test_reading_a_config_imports_no_torch() -> None:
    script = "import sys, compat.anatomy.config_shape; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# blt announces its widths in four sub configs that are no text config; gemma4_assistant has no
# config of its own defaults.
WITHOUT_A_SHAPE = {"blt", "gemma4_assistant"}


def test_the_text_architectures_of_transformers_announce_their_shape() -> None:
    tables = (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
    names = {name for table in tables for name in table}
    assert len(names) > 200
    for name in sorted(names - WITHOUT_A_SHAPE):
        shape = announced_shape(AutoConfig.for_model(name))
        assert (
            shape.heads is None
            or shape.key_value_heads is None
            or (shape.heads % shape.key_value_heads == 0)
        ), name
