"""Capabilities: what a check may need of a subject, decided by looking at it, never by its name.

The docstring of each is its specification. A name that collection can judge from the registry
alone (see `compat.targets.plan`) makes no case where it is missing; the others are judged here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from compat.subject.positions import announces_linear_bias, announces_rotation

if TYPE_CHECKING:
    from compat.subject.adaptable import AdaptableModel

Capability = Callable[["AdaptableModel"], bool]


class UnknownCapabilityError(LookupError):
    """A check needs what is no capability; the message says which there are."""


def capability_named(name: str) -> Capability:
    """What decides whether a subject has it. Raises UnknownCapabilityError for a name of none."""
    try:
        return CAPABILITIES[name]
    except KeyError:
        there_are = ", ".join(sorted(CAPABILITIES))
        raise UnknownCapabilityError(f"no capability {name!r}; there are {there_are}") from None


def decoder_only(subject: AdaptableModel) -> bool:
    """One stack of blocks that reads the prompt and writes on."""
    return not subject.has_encoder


def encoder(subject: AdaptableModel) -> bool:
    """An encoder stack before the decoder."""
    return subject.has_encoder


def vision(subject: AdaptableModel) -> bool:
    """A vision tower whose image tokens enter the text."""
    return subject.checkpoint.shape.vision_blocks is not None


def attention(subject: AdaptableModel) -> bool:
    """At least one block with an attention module."""
    return any(block.attention for block in subject.anatomy.blocks)


def rotary(subject: AdaptableModel) -> bool:
    """A config that says by which angles queries and keys are turned."""
    return announces_rotation(subject.model)


def linear_bias(subject: AdaptableModel) -> bool:
    """A config or a class that says that attention falls off with distance, head by head."""
    attentions = [block.attention.module for block in subject.anatomy.blocks if block.attention]
    return announces_linear_bias(subject.model, attentions)


def hidden_states(subject: AdaptableModel) -> bool:
    """A forward that reports hidden states when asked."""
    return subject.run.hidden_states is not None


def inputs_embeds(subject: AdaptableModel) -> bool:
    """A forward that takes embeddings in the place of ids."""
    return "inputs_embeds" in subject.forward_arguments


def chat_template(subject: AdaptableModel) -> bool:
    """A tokenizer with a chat template."""
    return bool(subject.tokenizer.chat_template)


def end_of_text(subject: AdaptableModel) -> bool:
    """A tokenizer with an end-of-text token."""
    return subject.tokenizer.eos_token_id is not None


def taught_weights(subject: AdaptableModel) -> bool:
    """Weights that were taught the text they read."""
    return subject.taught


def quantized(subject: AdaptableModel) -> bool:
    """Loaded in 8 or 4 bit."""
    return subject.mode.traits.quantization is not None


def resident_weights(subject: AdaptableModel) -> bool:
    """Weights that are all in memory, where they are used."""
    return not offloaded(subject)


def offloaded(subject: AdaptableModel) -> bool:
    """Weights that wait elsewhere than where they are used."""
    return any(weight.is_meta for weight in subject.model.parameters())


def divided_weights(subject: AdaptableModel) -> bool:
    """Weights on more than one device, or that wait elsewhere than where they are used."""
    devices = {str(weight.device) for weight in subject.model.parameters()}
    return len(devices) > 1 or offloaded(subject)


CAPABILITIES: dict[str, Capability] = {
    "decoder-only": decoder_only,
    "encoder": encoder,
    "vision": vision,
    "attention": attention,
    "rotary": rotary,
    "linear-bias": linear_bias,
    "hidden-states": hidden_states,
    "inputs-embeds": inputs_embeds,
    "chat-template": chat_template,
    "end-of-text": end_of_text,
    "taught-weights": taught_weights,
    "quantized": quantized,
    "resident-weights": resident_weights,
    "offloaded": offloaded,
    "divided-weights": divided_weights,
}
