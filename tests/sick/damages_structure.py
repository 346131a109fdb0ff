"""Entries of the registry that say something else than transformers builds."""

from __future__ import annotations

from typing import Any

from compat.targets import Mode, Weights
from tests.sick.sickness import GEMMA_WITH_VISION, GPT2, T5, sick

CONFIG: dict[str, Any] = {"mode": Mode.META, "weights": Weights.CONFIG}


def _say(subject: Any, **facts: Any) -> None:
    subject.spec = subject.spec.model_copy(update=facts)


def _off_by_one(subject: Any, group: str, fact: str) -> None:
    facts = getattr(subject.spec, group)
    _say(subject, **{group: facts.model_copy(update={fact: getattr(facts, fact) + 1})})


@sick("structure_matches_registry", says="architecture: .*says GPT3", model=GPT2, **CONFIG)
def other_architecture(subject: Any) -> None:
    """The entry names a class that transformers does not build from the config."""
    _say(subject, architecture="GPT3LMHeadModel")


@sick("structure_matches_registry", says=r"decoder blocks: .*13.*12", model=GPT2, **CONFIG)
def one_block_too_many(subject: Any) -> None:
    """The entry counts one decoder block more than the config builds."""
    _off_by_one(subject, "blocks", "count")


@sick("structure_matches_registry", says="decoder block class: .*GPT2Layer", model=GPT2, **CONFIG)
def other_block_class(subject: Any) -> None:
    """The entry names a block class that no block has."""
    blocks = subject.spec.blocks
    _say(subject, blocks=blocks.model_copy(update={"block_class": "GPT2Layer"}))


@sick("structure_matches_registry", says="decoder path: .*model.layers", model=GPT2, **CONFIG)
def other_path(subject: Any) -> None:
    """The entry says that the blocks are where Llama has them."""
    blocks = subject.spec.blocks
    _say(subject, blocks=blocks.model_copy(update={"path": "model.layers"}))


@sick("structure_matches_registry", says=r"hidden width: .*769.*768", model=GPT2, **CONFIG)
def hidden_width_off_by_one(subject: Any) -> None:
    """The entry's hidden width is one more than the config's."""
    _off_by_one(subject, "widths", "hidden")


@sick("structure_matches_registry", says=r"vocabulary: .*50258.*50257", model=GPT2, **CONFIG)
def vocabulary_off_by_one(subject: Any) -> None:
    """The entry's vocabulary is one row more than the embedding."""
    _off_by_one(subject, "widths", "vocabulary")


@sick("structure_matches_registry", says=r"^AssertionError: heads: .*13.*12", model=GPT2, **CONFIG)
def heads_off_by_one(subject: Any) -> None:
    """The entry has one query head more than the config."""
    _off_by_one(subject, "widths", "heads")


@sick("structure_matches_registry", says=r"key-value heads: .*13.*12", model=GPT2, **CONFIG)
def key_value_heads_off_by_one(subject: Any) -> None:
    """The entry has one key-value head more than the config."""
    _off_by_one(subject, "widths", "key_value_heads")


@sick("structure_matches_registry", says=r"head width: .*65.*64", model=GPT2, **CONFIG)
def head_width_off_by_one(subject: Any) -> None:
    """The entry's heads are one wider than the config's."""
    _off_by_one(subject, "widths", "head")


@sick("structure_matches_registry", says=r"parameters: ", model=GPT2, **CONFIG)
def parameters_off_by_one(subject: Any) -> None:
    """The entry counts one parameter more than there are."""
    _say(subject, parameters=subject.spec.parameters + 1)


@sick("structure_matches_registry", says=r"encoder blocks: .*7.*6", model=T5, **CONFIG)
def one_encoder_block_too_many(subject: Any) -> None:
    """The entry counts one encoder block more than the config builds."""
    _off_by_one(subject, "encoder", "count")


@sick("structure_matches_registry", says=r"vision blocks: ", model=GEMMA_WITH_VISION, **CONFIG)
def no_vision_tower(subject: Any) -> None:
    """The entry does not know of the vision tower that the config builds."""
    _say(subject, vision=None)


HUB: dict[str, Any] = {"weights": Weights.HUB, "model": GPT2}


@sick("checkpoint_matches_registry", says="config key n_embd: .*says 1, the checkpoint 64", **HUB)
def config_of_another_width(subject: Any) -> None:
    """The entry's config has another width than the one on the hub."""
    _say(subject, config=subject.spec.config | {"n_embd": 1})


@sick(
    "checkpoint_matches_registry",
    says=r"blocks: .*says 3, the checkpoint 2",
    **HUB,
    shows_in={"anatomy"},
)
def one_block_more_than_on_the_hub(subject: Any) -> None:
    """The entry counts one decoder block more than the checkpoint has."""
    _off_by_one(subject, "blocks", "count")


@sick("checkpoint_matches_registry", says="hidden width: .*65, the checkpoint 64", **HUB)
def wider_than_on_the_hub(subject: Any) -> None:
    """The entry is one wider than the checkpoint."""
    _off_by_one(subject, "widths", "hidden")


@sick("checkpoint_matches_registry", says="vocabulary: the registry says", **HUB)
def vocabulary_not_of_the_hub(subject: Any) -> None:
    """The entry has one token more than the checkpoint."""
    _off_by_one(subject, "widths", "vocabulary")


def _stored(subject: Any, **facts: Any) -> None:
    _say(subject, checkpoint=subject.spec.checkpoint.model_copy(update=facts))


@sick("checkpoint_matches_registry", says="quantization: .*gptq, the checkpoint None", **HUB)
def not_stored_quantized(subject: Any) -> None:
    """The entry says that the checkpoint is quantized."""
    _stored(subject, quantization="gptq")


@sick("checkpoint_matches_registry", says="dtype: .*bfloat16, the checkpoint float32", **HUB)
def stored_in_another_dtype(subject: Any) -> None:
    """The entry says that the checkpoint is in half precision."""
    _stored(subject, dtype="bfloat16")


@sick("checkpoint_matches_registry", says="GB: .*says 16.1, the checkpoint 0.0", **HUB)
def size_of_another_checkpoint(subject: Any) -> None:
    """The entry has the size of a checkpoint 10,000 times as large."""
    _stored(subject, gb=16.1)
