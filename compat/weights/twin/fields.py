"""What configs call the same thing, in the order in which the names are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HIDDEN = ("hidden_size", "d_model", "n_embd", "n_embed", "dim", "embed_dim")
EMBEDDING = ("word_embed_proj_dim", "embedding_size")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads")
KEY_VALUE_HEADS = ("num_key_value_heads", "num_kv_heads", "kv_n_heads", "n_head_kv")
HEAD = ("head_dim", "d_kv", "d_head", "attention_head_dim", "kv_channels")
VALUE_HEAD = ("v_head_dim", *HEAD)
BLOCKS = (
    "decoder_layers", "num_decoder_layers", "num_hidden_layers", "n_layer", "n_layers",
    "num_layers", "depth", "num_blocks",
)  # fmt: skip
ENCODER_BLOCKS = ("encoder_layers", "num_encoder_layers", "num_layers")


def first(values: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of the fields `names` that holds a whole number."""
    found = (values.get(name) for name in names)
    return next((v for v in found if isinstance(v, int) and not isinstance(v, bool)), None)


def nested(values: Mapping[str, Any], name: str) -> Any:
    """The field `name` of a config or of any mapping nested in it; None where there is none."""
    if name in values:
        return values[name]
    below = (nested(value, name) for value in values.values() if isinstance(value, Mapping))
    return next((value for value in below if value is not None), None)
