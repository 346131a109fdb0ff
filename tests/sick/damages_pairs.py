"""Pairs whose receiver does not read what it is given, or whose adapter can't be taught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests.sick.damages_gradients import _Scaled
from tests.sick.sickness import LLAMA_TO_MISTRAL, Damage, sick
from tests.sick.surgery import around_forward, around_method, change_hidden, change_logits


def sick_pair(check: str, *, says: str) -> Callable[[Damage], Damage]:
    return sick(check, says=says, model=LLAMA_TO_MISTRAL)


def _change_adapter(pair: Any, maker: str, change: Callable[[nn.Module], object]) -> None:
    """Let `change` write into every adapter that `maker` makes."""

    def around(inner: Any) -> nn.Module:
        adapter = inner()
        change(adapter)
        return adapter

    around_method(pair, maker, around)


def _change_arguments(model: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Let `change` write into the arguments of a forward that is given embeddings."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("inputs_embeds") is not None:
            change(kwargs)
        return inner(*args, **kwargs)

    around_forward(model, around)


# What a pair needs


@sick_pair("pair_has_its_parts", says="takes no inputs_embeds")
def receiver_reads_ids_only(pair: Any) -> None:
    """The receiver's forward takes token ids and nothing in their place."""
    pair.receiver.forward_arguments -= {"inputs_embeds"}


@sick_pair("pair_has_its_parts", says="neither a beginning nor an end of text")
def source_without_specials(pair: Any) -> None:
    """The source's tokenizer has lost its tokens for the beginning and the end of a text."""
    pair.source.tokenizer.bos_token = pair.source.tokenizer.eos_token = None


@sick_pair("pair_has_its_parts", says="embeddings are 0.0 long")
def embeddings_never_loaded(pair: Any) -> None:
    """The receiver's embedding matrix was allocated and never filled: it is zero."""
    pair.receiver.model.get_input_embeddings().weight.data.zero_()


# What is carried over


@sick_pair("adapter_carries_states", says=r"latents are \(1, 57, 64\), not \(1, 58, 64\)")
def adapter_drops_a_state(pair: Any) -> None:
    """The adapter loses the first position of what the source has read."""
    _change_adapter(
        pair,
        "linear_adapter",
        lambda adapter: around_forward(adapter, lambda inner, states: inner(states[:, 1:])),
    )


@sick_pair("adapter_carries_states", says="latents are .* times as long as the receiver's")
def adapter_does_not_match(pair: Any) -> None:
    """The adapter's output has unit features: the embeddings' statistics were not put in."""

    def unmatched(adapter: Any) -> None:
        adapter.matched.scale.data.fill_(1)
        adapter.matched.shift.data.zero_()

    _change_adapter(pair, "linear_adapter", unmatched)


@sick_pair("adapter_carries_states", says=r"logits are \(1, 512\), not")
def receiver_answers_at_the_end_only(pair: Any) -> None:
    """Given embeddings, the receiver keeps the logits of the last position alone."""
    _change_arguments(pair.receiver.model, lambda arguments: arguments.update(logits_to_keep=1))


@sick_pair("adapter_carries_states", says="the receiver's logits hold NaN or infinity")
def receiver_overflows(pair: Any) -> None:
    """The receiver's logits overflow: infinity less infinity."""
    change_logits(pair.receiver.model, lambda logits: logits * float("nan"))


@sick_pair("adapter_carries_states", says="it does not read the latents")
@sick_pair("resampler_carries_states", says="it does not read the latents")
def receiver_masks_the_latents(pair: Any) -> None:
    """The receiver's mask hides everything that stands before its own text."""

    def hide(arguments: dict[str, Any]) -> None:
        mask = arguments["attention_mask"].clone()
        mask[:, : -pair.message[0].length] = 0
        arguments["attention_mask"] = mask

    _change_arguments(pair.receiver.model, hide)


@sick_pair("adapter_carries_states", says="it does not read the latents")
def source_says_nothing(pair: Any) -> None:
    """The source's blocks put out zeros, whatever it reads."""
    for block in pair.source.anatomy.blocks:
        change_hidden(block.module, torch.zeros_like)


@sick_pair("resampler_carries_states", says=r"latents are \(1, 7, 64\), not \(1, 8, 64\)")
def resampler_loses_a_latent(pair: Any) -> None:
    """The resampler puts out one latent less than it was made with."""
    _change_adapter(
        pair,
        "resampler",
        lambda one: around_forward(one, lambda inner, *given: inner(*given)[:, 1:]),
    )


@sick_pair("resampler_carries_states", says="latents of padded sources differ")
def resampler_reads_padding(pair: Any) -> None:
    """The resampler attends to padded positions."""
    _change_adapter(
        pair,
        "resampler",
        lambda one: around_forward(one, lambda inner, states, mask=None: inner(states)),
    )


# Gradients


@sick_pair("adapter_carries_gradient", says="the latents are cut off from it")
@sick_pair("resampler_carries_gradient", says="the latents are cut off from it")
@sick_pair("models_unchanged_by_training", says="does not require grad")
def receiver_for_inference_only(pair: Any) -> None:
    """The receiver's forward runs without gradients: it was made for inference."""
    around_forward(
        pair.receiver.model, lambda inner, *args, **kwargs: torch.no_grad()(inner)(*args, **kwargs)
    )


@sick_pair("adapter_carries_gradient", says="frozen weights got a gradient")
def receiver_thaws(pair: Any) -> None:
    """The receiver lets its weights ask for gradients again at every forward."""

    def thaw(arguments: dict[str, Any]) -> None:
        pair.receiver.model.requires_grad_(True)

    _change_arguments(pair.receiver.model, thaw)


@sick_pair("adapter_carries_gradient", says="no gradient comes to unused")
def adapter_with_an_idle_weight(pair: Any) -> None:
    """The adapter has a weight that takes no part in what it puts out."""
    _change_adapter(
        pair,
        "linear_adapter",
        lambda adapter: adapter.register_parameter("unused", nn.Parameter(torch.ones(3))),
    )


def _scale_gradient(pair: Any, factor: float) -> None:
    """Multiply the gradient that comes back from the receiver's head."""
    norm = pair.receiver.anatomy.final_norm
    change_hidden(norm, lambda hidden: _Scaled.apply(hidden, factor))


@sick_pair("adapter_carries_gradient", says="gradients that are zero or not finite")
def receiver_gives_no_gradient(pair: Any) -> None:
    """The backward of one of the receiver's kernels was not written and gives zeros."""
    _scale_gradient(pair, 0.0)


@sick_pair("resampler_carries_gradient", says="gradients that are zero or not finite")
def receiver_gives_nan(pair: Any) -> None:
    """The backward of one of the receiver's kernels divides by zero."""
    _scale_gradient(pair, float("nan"))


@sick_pair("adapter_learns", says="10 steps take the loss from")
@sick_pair("resampler_learns", says="10 steps take the loss from")
def receiver_teaches_the_opposite(pair: Any) -> None:
    """The backward of one of the receiver's kernels has the wrong sign."""
    _scale_gradient(pair, -1.0)


# What must stay


@sick_pair("models_unchanged_by_training", says="training changed the weights of mistralai")
def receiver_learns_in_secret(pair: Any) -> None:
    """A norm of the receiver keeps a running average in its weight while gradients are on."""

    def average(arguments: dict[str, Any]) -> None:
        if torch.is_grad_enabled():
            pair.receiver.anatomy.final_norm.weight.data.mul_(1.01)

    _change_arguments(pair.receiver.model, average)


@sick_pair("models_unchanged_by_training", says="gives other logits after the training")
def receiver_remembers(pair: Any) -> None:
    """The receiver counts its trainings outside of its weights, and answers accordingly."""
    trainings: list[bool] = []

    def count(arguments: dict[str, Any]) -> None:
        trainings.append(torch.is_grad_enabled())

    change_logits(pair.receiver.model, lambda logits: logits * (1 + 0.01 * sum(trainings)))
    _change_arguments(pair.receiver.model, count)


# Memory


@sick_pair("pair_memory_as_predicted", says="1 weights are one tensor in both models")
def one_embedding_for_both(pair: Any) -> None:
    """Both models were given one embedding matrix: what trains one would train the other."""
    embedding = pair.source.model.get_input_embeddings().weight
    pair.receiver.model.get_input_embeddings().weight = embedding


@sick_pair("pair_memory_as_predicted", says=r"the weights of both take \d+ bytes, \d+ predicted")
def source_loaded_twice(pair: Any) -> None:
    """The loader kept a second copy of the source's weights."""
    pair.source.load_measures["weights_bytes"] *= 2


@sick_pair("pair_memory_as_predicted", says=r"the LinearAdapter takes \d+ bytes, \d+ predicted")
def adapter_in_double_precision(pair: Any) -> None:
    """The adapter is kept in float64."""
    _change_adapter(pair, "linear_adapter", lambda adapter: adapter.double())
