"""What a config announces: numbers of blocks, widths and heads, read without building a model.

Configs name the same thing in many ways, and code that lives on the hub in more ways still. The
names below are looked for in order; a model's own name is never looked at. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class ConfigShapeError(LookupError):
    """A config that does not say how many blocks, how wide, or how many tokens."""


@dataclass(frozen=True)
class AnnouncedShape:
    """The numbers of a config; None where it has no such part, or where its layers differ."""

    blocks: int
    """Decoder blocks of the text model."""
    hidden: int
    """Width of the residual stream."""
    vocabulary: int
    """Rows of the input embedding."""
    heads: int | None
    """Query heads; None where no block has attention."""
    key_value_heads: int | None
    head: int | None
    """Width of one head's value output."""
    encoder_blocks: int | None
    vision_blocks: int | None


_BLOCKS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "num_blocks",
    "num_transformer_layers",
    "depth",
)
# In an encoder-decoder the bare names are the encoder's where the decoder's has one of its own.
_DECODER_BLOCKS = ("decoder_layers", "num_decoder_layers")
_ENCODER_BLOCKS = ("encoder_layers", "num_encoder_layers", "num_layers", "num_hidden_layers")
_HIDDEN = (
    "hidden_size",
    "d_model",
    "n_embd",
    "emb_dim",
    "embedding_dim",
    "model_dim",
    "embed_dim",
    "dim",
)
# chatglm pads its embedding beyond `vocab_size`, which is then the tokenizer's
_VOCABULARY = ("padded_vocab_size", "vocab_size", "src_vocab_size", "n_vocab")
_HEADS = (
    "decoder_attention_heads",
    "num_decoder_attention_heads",
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "attention_heads",
)
_KEY_VALUE_HEADS = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "kv_n_heads",
    "n_kv_heads",
    "num_query_groups",
)
_HEAD = (
    "v_head_dim",
    "head_dim",
    "d_kv",
    "d_head",
    "dim_head",
    "kv_channels",
    "attention_head_dim",
)
_TEXT_CONFIGS = (
    "text_config",
    "language_config",
    "llm_config",
    "vlm_config",
    "decoder",
    "thinker_config",
)
_VISION_CONFIGS = ("vision_config", "vision_tower_config", "visual", "image_encoder")
_ATTENTION_CONFIGS = ("attn_config", "attention_config")
_LAYERS_DIFFER = object()
# Layer kinds that mix tokens without attention heads
_WITHOUT_ATTENTION = ("linear", "mamba", "conv", "recurrent", "rwkv", "mlp", "moe")


def announced_shape(config: Any) -> AnnouncedShape:
    """Read a transformers config, a sub config, or a mapping of either.

    Raises ConfigShapeError where blocks, width or vocabulary are announced under no known name.
    """
    text = _text_config(config)
    encodes = bool(_get(text, "is_encoder_decoder") or _get(config, "is_encoder_decoder"))
    heads = _heads(text)
    hidden = _required(text, _HIDDEN, "the width of the residual stream")
    return AnnouncedShape(
        blocks=_required(
            text, (*_DECODER_BLOCKS, *_BLOCKS) if encodes else _BLOCKS, "the number of blocks"
        ),
        hidden=hidden,
        vocabulary=_required(text, _VOCABULARY, "the size of the vocabulary"),
        heads=heads,
        key_value_heads=None if heads is None else _key_value_heads(text, heads),
        head=None if heads is None else _first(text, _HEAD, default=hidden // heads),
        encoder_blocks=_first(text, _ENCODER_BLOCKS) if encodes else None,
        vision_blocks=_vision_blocks(config),
    )


def _text_config(config: Any) -> Any:
    """The config of the text decoder, however deep it lies."""
    for name in _TEXT_CONFIGS:
        nested = _get(config, name)
        if _is_config(nested):
            return _text_config(nested)
    return config


def _vision_blocks(config: Any) -> int | None:
    for name in _VISION_CONFIGS:
        nested = _get(config, name)
        if _is_config(nested):
            return _first(nested, _BLOCKS)
    for name in _TEXT_CONFIGS:  # a thinker holds both
        nested = _get(config, name)
        if _is_config(nested):
            return _vision_blocks(nested)
    return None


def _heads(text: Any) -> int | None:
    """Query heads. The heads of a state space are no attention heads."""
    kinds = _get(text, "layer_types") or _get(text, "layers_block_type")
    if isinstance(kinds, Sequence) and kinds and not any(map(_attends, kinds)):
        return None
    return _first(text, _HEADS)


def _attends(kind: Any) -> bool:
    return not any(part in str(kind) for part in _WITHOUT_ATTENTION) or "hybrid" in str(kind)


def _key_value_heads(text: Any, heads: int) -> int | None:
    if _get(text, "kv_lora_rank"):  # latent attention: the cache is expanded to every head
        return heads
    if _get(text, "multi_query_attention"):
        return _first(text, ("multi_query_group_num",), default=1)
    if _get(text, "multi_query") and not _get(text, "new_decoder_architecture"):
        return 1
    for name in _ATTENTION_CONFIGS:
        nested = _get(text, name)
        if _is_config(nested):
            found = _first(nested, _KEY_VALUE_HEADS)
            if found is not None:
                return found
    return _first(text, _KEY_VALUE_HEADS, default=heads)


def _required(config: Any, names: Sequence[str], what: str) -> int:
    found = _first(config, names)
    if found is None:
        raise ConfigShapeError(
            f"{type(config).__name__} does not announce {what}: looked for {', '.join(names)}"
        )
    return found


def _first(config: Any, names: Sequence[str], default: int | None = None) -> int | None:
    """The first of `names` that holds a positive whole number; None where its layers differ."""
    for name in names:
        value = _get(config, name)
        if value is _LAYERS_DIFFER:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return default


def _is_config(value: Any) -> bool:
    return isinstance(value, Mapping) or hasattr(value, "to_dict")


def _get(config: Any, name: str) -> Any:
    if isinstance(config, Mapping):
        return config.get(name)
    try:
        return getattr(config, name, None)
    except RuntimeError:  # what transformers raises where a value is set layer by layer
        return _LAYERS_DIFFER
