"""Shrinking a model's own config: what makes it that model stays, widths become small."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from compat.registry.spec import ModelSpec
from compat.weights.checkpoint import Shape
from compat.weights.twin import rules
from compat.weights.twin.blocks import choose_run, cut_to_run, is_per_block
from compat.weights.twin.rules import Plan
from compat.weights.twin.slots import SlotMap, is_token_field

_BASE_FIELDS = frozenset(PretrainedConfig().to_dict())
_HEADS = 4
_HEAD = 16


@dataclass(frozen=True)
class Shrunk:
    """A shrunk config as keyword arguments, and the shape it announces."""

    model_type: str
    arguments: Mapping[str, Any]
    shape: Shape
    eos: tuple[int, ...]
    """Ids that end a text; the first is the tokenizer's."""

    def config(self) -> PretrainedConfig:
        """A fresh config object in float32."""
        arguments = json.loads(json.dumps(self.arguments))
        config = AutoConfig.for_model(self.model_type, **arguments)
        config.dtype = "float32"
        return config

    def without_tokens(self) -> dict[str, Any]:
        """The arguments less everything that has no bearing on the weights."""
        return _without_tokens(self.arguments)


def shrink(spec: ModelSpec) -> Shrunk:
    """Shrink the config of `spec`.

    Raises ValueError where transformers does not know the model type.
    """
    given = {key: value for key, value in spec.config.items() if key != "model_type"}
    given |= spec.config_fix
    full = AutoConfig.for_model(spec.model_type, **json.loads(json.dumps(given)))
    slots = SlotMap(full.to_dict() | {"given": given})
    arguments, plan = _shrink(full, given, slots, None)
    arguments.pop("torch_dtype", None)
    eos = _resolve_eos(full)
    return Shrunk(
        model_type=spec.model_type,
        arguments=arguments,
        shape=_shape(full, arguments, plan),
        eos=tuple(slots[token] for token in eos),
    )


def _shrink(
    full: PretrainedConfig, given: Mapping[str, Any], slots: SlotMap, parent: Plan | None
) -> tuple[dict[str, Any], Plan]:
    """Overrides for one config. Fields that a class leaves empty and derives are left to it."""
    full.allow_global_per_layer_attribute_access = True
    values = _values(full, given)
    plan = _plan(values, parent)
    small: dict[str, Any] = dict(given)
    for name, value in values.items():
        sub = given.get(name) if isinstance(given.get(name), Mapping) else {}
        if isinstance(value, PretrainedConfig):
            small[name] = _shrink(value, sub or {}, slots, plan)[0]
            if value.model_type:
                small[name]["model_type"] = value.model_type
        elif is_token_field(name):
            small[name] = slots.map(value)
        elif isinstance(value, Mapping):
            if name in given:
                small[name] = _shrink_mapping(value, plan)
        elif _may_set(full, name, given):
            small |= _shrink_number(name, value, plan)
    if plan.full_blocks:
        run = choose_run(values, plan.full_blocks)
        # A list with an entry a block is set even where the class would derive it: at the small
        # depth the class derives another pattern, and a kind of block is lost.
        settable = {
            n: v
            for n, v in values.items()
            if _may_set(full, n, given) or is_per_block(v, plan.full_blocks)
        }
        small |= cut_to_run(settable, plan.full_blocks, run)
    return small | _relations(values, small, plan), plan


def _values(full: PretrainedConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of the model's own, resolved by its class, in a fixed order."""
    names = (set(getattr(type(full), "__dataclass_fields__", {})) | set(given)) - _BASE_FIELDS
    names |= {name for name in given if is_token_field(name)}
    names |= {name for name in _BASE_FIELDS if is_token_field(name) and hasattr(full, name)}
    return {
        name: getattr(full, name, given.get(name))
        for name in sorted(names)
        if not name.startswith("_") and not callable(getattr(full, name, None))
    }


def _may_set(full: PretrainedConfig, name: str, given: Mapping[str, Any]) -> bool:
    """Whether a field is stated by the checkpoint or has a default, rather than being derived."""
    if name in given or name in rules.EXPLICIT_FIELDS:
        return True
    field = getattr(type(full), "__dataclass_fields__", {}).get(name)
    return field is not None and field.default is not None


def _shrink_number(name: str, value: Any, plan: Plan) -> dict[str, Any]:
    rule = rules.rule_for(name)
    if rule is None or isinstance(value, bool) or not isinstance(value, int):
        return {}
    return {name: rule(value, plan)}


def _shrink_mapping(value: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """A plain mapping inside a config, such as the parameters of a rotary embedding."""
    small: dict[str, Any] = {}
    for name, item in value.items():
        small[name] = _shrink_mapping(item, plan) if isinstance(item, Mapping) else item
        small |= _shrink_number(name, item, plan)
    return small


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (values.get(name) for name in names)
    return next((v for v in found if isinstance(v, int) and not isinstance(v, bool)), None)


def _plan(values: Mapping[str, Any], parent: Plan | None) -> Plan:
    """Decide widths: a head keeps its relation to the hidden width, and so does the embedding."""
    heads = _first(values, rules.HEADS_FIELDS)
    hidden = _first(values, rules.HIDDEN_FIELDS)
    if parent is not None and heads is None:
        return parent
    full_head = _first(values, rules.HEAD_FIELDS)
    if values.get("kv_lora_rank"):
        full_head = None
    embedding = _first(values, rules.EMBEDDING_FIELDS) or hidden
    narrow_head = bool(heads and full_head and hidden and heads * full_head < hidden)
    wide_head = bool(heads and full_head and hidden and heads * full_head > hidden)
    narrow_embedding = bool(embedding and hidden and embedding < hidden)
    width = rules.WIDTH * (2 if narrow_head or narrow_embedding else 1)
    small_heads = min(_HEADS, heads or _HEADS)
    head = _HEAD if narrow_head else width // small_heads * (2 if wide_head else 1)
    blocks = _first(values, rules.BLOCK_FIELDS)
    return Plan(
        hidden=width,
        embedding=rules.WIDTH if narrow_embedding else width,
        heads=small_heads,
        key_value_heads=small_heads,
        head=head,
        rotary=_rotary(values, heads, hidden, full_head, head),
        positions=_positions(values),
        blocks=len(choose_run(values, blocks)) if blocks else 0,
        full_heads=heads,
        full_blocks=blocks,
    )


def _rotary(
    values: Mapping[str, Any],
    heads: int | None,
    hidden: int | None,
    full_head: int | None,
    head: int,
) -> int:
    full = values.get("rotary_dim")
    if not isinstance(full, int) or not heads or not hidden:
        return head
    return max(2, head * full // (full_head or hidden // heads) // 2 * 2)


def _positions(values: Mapping[str, Any]) -> int:
    """Positions: where the rotary embedding is stretched, in the same ratio as at full size."""
    full = values.get("max_position_embeddings")
    original = _find(values, "original_max_position_embeddings")
    if isinstance(full, int) and isinstance(original, int) and original > 0:
        return max(1, full // original) * rules.UNSTRETCHED_POSITIONS
    return rules.POSITIONS


def _find(values: Mapping[str, Any], name: str) -> Any:
    if name in values:
        return values[name]
    nested = (_find(value, name) for value in values.values() if isinstance(value, Mapping))
    return next((value for value in nested if value is not None), None)


def _relations(values: Mapping[str, Any], small: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Fields that follow from others and are stated all the same."""
    related: dict[str, Any] = {}
    latent = values.get("kv_lora_rank")
    if latent and "num_key_value_heads" in small:
        related["num_key_value_heads"] = plan.heads
    if latent and "head_dim" in small:
        rotary, plain = values.get("qk_rope_head_dim"), values.get("qk_nope_head_dim")
        whole = values["head_dim"] not in (rotary, plain)
        related["head_dim"] = rules.LATENT_HEAD * (2 if whole else 1)
    if isinstance(values.get("query_pre_attn_scalar"), int | float):
        is_head = values["query_pre_attn_scalar"] == _first(values, rules.HEAD_FIELDS)
        related["query_pre_attn_scalar"] = plan.head if is_head else plan.hidden // plan.heads
    if isinstance(values.get("expand"), int) and "intermediate_size" in small:
        related["intermediate_size"] = values["expand"] * plan.hidden
    if values.get("use_sliding_window") is False and "max_window_layers" in small:
        related["max_window_layers"] = plan.blocks
    return related


def _text(full: PretrainedConfig) -> PretrainedConfig:
    return full.get_text_config(decoder=True)


def _resolve_eos(full: PretrainedConfig) -> list[int]:
    found = getattr(full, "eos_token_id", None)
    if found is None:
        found = getattr(_text(full), "eos_token_id", None)
    if found is None:
        return []
    return [found] if isinstance(found, int) else list(found)


def _shape(full: PretrainedConfig, arguments: Mapping[str, Any], plan: Plan) -> Shape:
    """What the shrunk config announces of its (text) decoder, its encoder and its tower."""
    nested = arguments.get("text_config")
    text = nested if isinstance(nested, Mapping) else arguments
    if text is nested:
        text_full = full.text_config
        plan = _plan(_values(text_full, text), None)
        heads = _first(text, rules.HEADS_FIELDS)
    else:
        heads = plan.heads if plan.full_heads else None
    vision = arguments.get("vision_config")
    key_value = _key_value_heads(text, heads)
    return Shape(
        blocks=_first(text, rules.BLOCK_FIELDS) or 0,
        hidden=_first(text, rules.HIDDEN_FIELDS) or rules.WIDTH,
        vocabulary=_first(text, ("vocab_size",)) or rules.VOCABULARY,
        heads=heads,
        key_value_heads=key_value,
        head=_head(text, heads),
        encoder_blocks=(
            _first(arguments, rules.ENCODER_BLOCK_FIELDS) if full.is_encoder_decoder else None
        ),
        vision_blocks=(_first(vision, rules.BLOCK_FIELDS) if isinstance(vision, Mapping) else None),
    )


def _key_value_heads(text: Mapping[str, Any], heads: int | None) -> int | None:
    if heads is None:
        return None
    if text.get("multi_query") and not text.get("new_decoder_architecture"):
        return 1
    found = _find(text, "kv_n_heads") or _first(text, rules.KEY_VALUE_FIELDS)
    return found if isinstance(found, int) else heads


def _head(text: Mapping[str, Any], heads: int | None) -> int | None:
    """Width of one head's value output."""
    if heads is None:
        return None
    found = _first(text, ("v_head_dim", *rules.HEAD_FIELDS))
    hidden = _first(text, rules.HIDDEN_FIELDS) or rules.WIDTH
    return found if found is not None else math.floor(hidden / heads)


def _without_tokens(arguments: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in arguments.items():
        if is_token_field(name) or name in _NO_BEARING:
            continue
        kept[name] = _without_tokens(value) if isinstance(value, Mapping) else value
    return kept


_NO_BEARING = frozenset(
    ("architectures", "torch_dtype", "dtype", "tokenizer_name", "name_or_path", "use_cache",
     "task_specific_params", "transformers_version", "verbose", "auto_map")
)  # fmt: skip
