"""Shrinking a model's own config: what makes it that model stays, widths become small."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from compat.registry.spec import ModelSpec
from compat.targets import Shape
from compat.weights.twin import fields, sizes
from compat.weights.twin.blocks import cut_to_run, is_per_block
from compat.weights.twin.plan import Plan, make_plan
from compat.weights.twin.rules import rule_for
from compat.weights.twin.shape import announced_by
from compat.weights.twin.slots import SlotMap, is_token_field

_COMMON = frozenset(PretrainedConfig().to_dict())
"""Fields that every config has: none of them is about one architecture."""

_DERIVED_BUT_SET = frozenset((*fields.KEY_VALUE_HEADS, *fields.HEAD))
"""Fields that are set even where the class would derive them: the plan knows what they are."""


@dataclass(frozen=True)
class Shrunk:
    """A shrunk config as keyword arguments of its class, and the shape it announces."""

    model_type: str
    arguments: Mapping[str, Any]
    shape: Shape
    eos: tuple[int, ...]
    """Ids that end a text, the tokenizer's own first; empty where the config names none."""

    def config(self) -> PretrainedConfig:
        """A new config object, in float32."""
        config = AutoConfig.for_model(self.model_type, **copy.deepcopy(dict(self.arguments)))
        config.dtype = "float32"
        return config

    def traits(self) -> dict[str, Any]:
        """All that has a bearing on the weights: no token ids, no names, nothing unknown."""
        return {"model_type": self.model_type} | _traits(self.config())


def shrink(spec: ModelSpec) -> Shrunk:
    """Shrink the config of `spec`.

    Raises ValueError where transformers does not know the model type.
    """
    given = {key: value for key, value in spec.config.items() if key != "model_type"}
    given |= spec.config_fix
    full = AutoConfig.for_model(spec.model_type, **copy.deepcopy(given))
    slots = SlotMap(full.to_dict() | {"given": given})
    arguments = _shrink(full, given, slots, None)
    arguments.pop("torch_dtype", None)
    return Shrunk(
        model_type=spec.model_type,
        arguments=arguments,
        shape=announced_by(arguments, encoder_decoder=full.is_encoder_decoder),
        eos=tuple(slots[token] for token in _ends(full)),
    )


def _shrink(
    full: PretrainedConfig, given: Mapping[str, Any], slots: SlotMap, parent: Plan | None
) -> dict[str, Any]:
    """Arguments for one config. What its class leaves empty and derives is left to the class."""
    full.allow_global_per_layer_attribute_access = True
    values = _values(full, given)
    plan = make_plan(values, parent)
    small: dict[str, Any] = dict(given)
    for name, value in values.items():
        if isinstance(value, PretrainedConfig):
            small[name] = _shrink_part(value, given.get(name), slots, plan)
        elif is_token_field(name):
            small[name] = slots.map(value)
        elif isinstance(given.get(name), Mapping):
            # As given: the class may know it under another name too, and have resolved it.
            small[name] = _shrink_mapping(given[name], plan)
        elif _may_set(full, name, given):
            small |= _shrink_number(name, value, plan)
    if plan.full_blocks:
        # A list with an entry a block is set even where the class would derive it: at the small
        # depth the class derives another pattern, and a kind of block is lost.
        settable = {
            name: value
            for name, value in values.items()
            if _may_set(full, name, given) or is_per_block(value, plan.full_blocks)
        }
        small |= cut_to_run(settable, plan.full_blocks, plan.run)
    return small | _relations(values, small, plan)


def _shrink_part(part: PretrainedConfig, given: Any, slots: SlotMap, plan: Plan) -> dict[str, Any]:
    small = _shrink(part, given if isinstance(given, Mapping) else {}, slots, plan)
    return small | ({"model_type": part.model_type} if part.model_type else {})


def _values(full: PretrainedConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of the model's own, resolved by its class, in a fixed order."""
    own = (set(_declared(full)) | set(given)) - _COMMON
    tokens = {name for name in (*given, *_COMMON) if is_token_field(name)}
    return {
        name: getattr(full, name, given.get(name))
        for name in sorted(own | tokens)
        if (hasattr(full, name) or name in given)
        and not name.startswith("_")
        and not callable(getattr(full, name, None))
    }


def _may_set(full: PretrainedConfig, name: str, given: Mapping[str, Any]) -> bool:
    """Whether a field is stated by the checkpoint or has a default, rather than being derived."""
    if name in given or name in _DERIVED_BUT_SET:
        return True
    return _declared(full).get(name) is not None


def _declared(config: PretrainedConfig) -> dict[str, Any]:
    """The fields that a config's class declares, with their defaults."""
    return {field.name: field.default for field in dataclasses.fields(type(config))}


def _shrink_number(name: str, value: Any, plan: Plan) -> dict[str, Any]:
    rule = rule_for(name)
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


def _relations(values: Mapping[str, Any], small: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Fields that follow from others and are stated all the same."""
    related: dict[str, Any] = {}
    if values.get("kv_lora_rank"):
        parts = (values.get("qk_rope_head_dim"), values.get("qk_nope_head_dim"))
        whole = values.get("head_dim") not in parts
        latent = {
            "num_key_value_heads": plan.heads,
            "head_dim": sizes.LATENT_HEAD * (2 if whole else 1),
        }
        related |= {name: value for name, value in latent.items() if name in small}
    if isinstance(scale := values.get("query_pre_attn_scalar"), int | float):
        is_head = scale == fields.first(values, fields.HEAD)
        related["query_pre_attn_scalar"] = plan.head if is_head else plan.hidden // plan.heads
    if isinstance(values.get("expand"), int) and "intermediate_size" in small:
        related["intermediate_size"] = values["expand"] * plan.hidden
    if values.get("use_sliding_window") is False and "max_window_layers" in small:
        related["max_window_layers"] = plan.blocks
    return related


def _ends(full: PretrainedConfig) -> list[int]:
    """Full-size ids that end a text."""
    found = getattr(full, "eos_token_id", None)
    if found is None:
        found = getattr(full.get_text_config(decoder=True), "eos_token_id", None)
    if found is None:
        return []
    return [found] if isinstance(found, int) else list(found)


def _traits(config: PretrainedConfig) -> dict[str, Any]:
    traits: dict[str, Any] = {}
    for name in sorted(set(_declared(config)) - _COMMON - {"use_cache"}):
        if is_token_field(name) or name.startswith("_"):
            continue
        value = getattr(config, name, None)
        traits[name] = _traits(value) if isinstance(value, PretrainedConfig) else value
    return traits | {"tie_word_embeddings": getattr(config, "tie_word_embeddings", None)}
