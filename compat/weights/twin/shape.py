"""The shape that a shrunk config announces, read off its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.targets import Shape
from compat.weights.twin import fields, sizes


def announced_by(arguments: Mapping[str, Any], *, encoder_decoder: bool) -> Shape:
    """The shape of the (text) decoder, the encoder and the vision tower of a shrunk config."""
    text = arguments.get("text_config", arguments)
    vision = arguments.get("vision_config")
    heads = fields.first(text, fields.HEADS)
    hidden = fields.first(text, fields.HIDDEN) or sizes.WIDTH
    return Shape(
        blocks=fields.first(text, fields.BLOCKS) or 0,
        hidden=hidden,
        vocabulary=fields.first(text, ("vocab_size",)) or sizes.VOCABULARY,
        heads=heads,
        key_value_heads=_key_value_heads(text, heads),
        head=_value_head(text, heads, hidden),
        encoder_blocks=fields.first(arguments, fields.ENCODER_BLOCKS) if encoder_decoder else None,
        vision_blocks=fields.first(vision, fields.BLOCKS) if vision else None,
    )


def _key_value_heads(text: Mapping[str, Any], heads: int | None) -> int | None:
    if heads is None:
        return None
    if text.get("multi_query") and not text.get("new_decoder_architecture"):
        return 1
    stated = (fields.nested(text, name) for name in fields.KEY_VALUE_HEADS)
    return next((found for found in stated if isinstance(found, int)), heads)


def _value_head(text: Mapping[str, Any], heads: int | None, hidden: int) -> int | None:
    """Width of one head's value output."""
    if heads is None:
        return None
    return fields.first(text, fields.VALUE_HEAD) or hidden // heads
