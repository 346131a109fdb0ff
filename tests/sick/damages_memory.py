"""Models that take other memory than their config says."""

from __future__ import annotations

from typing import Any

import torch

from compat.loading.memory import footprint
from compat.targets import Mode
from tests.sick.sickness import GEMMA_WITH_VISION, JAMBA, T5, sick
from tests.sick.surgery import (
    around_forward,
    attentions,
    change_hidden,
    change_logits,
    change_output,
    modules,
)

KEEPS = r"after \d+ tokens the cache keeps \d+ bytes, \d+ predicted"
TAKES = r"a forward takes \d+ bytes at its peak, \d+ predicted from the config"


@sick(
    "weights_as_predicted",
    says=r"weights take \d+ bytes, \d+ predicted from the config",
    shows_in={"precision"},
)
def head_untied_on_loading(subject: Any) -> None:
    """The head was cut off from the embedding that it is tied to: the matrix is held twice."""
    head = subject.model.lm_head
    head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    subject.load_measures["weights_bytes"] = footprint(subject.model).stored


@sick(
    "weights_as_predicted",
    says=r"weights take \d+ bytes, \d+ predicted from the config",
    mode=Mode.NF4,
    shows_in={"persistence", "forward", "generation"},
)
def projection_put_back_in_float(subject: Any) -> None:
    """A projection was put back in full precision after the weights had been quantized."""
    part = modules(subject)[0].mlp
    part.down_proj = torch.nn.Linear(part.down_proj.in_features, part.down_proj.out_features)
    subject.load_measures["weights_bytes"] = footprint(subject.model).stored


@sick("weights_as_predicted", says="the loader measured no weights", shows_in={"precision"})
def weights_not_counted(subject: Any) -> None:
    """A loader of its own did not count the bytes of what it loaded."""
    subject.load_measures["weights_bytes"] = None


@sick("cache_as_predicted", says=KEEPS, mode=Mode.BF16, shows_in={"generation"})
def cache_kept_in_float32(subject: Any) -> None:
    """Keys and values are widened to float32 for the cache of a model in half precision."""

    def widen(output: Any) -> None:
        for layer in _cached(output):
            layer.keys, layer.values = layer.keys.float(), layer.values.float()

    change_output(subject.model, widen)


@sick("cache_as_predicted", says=KEEPS, shows_in={"generation"})
def keys_repeated_before_caching(subject: Any) -> None:
    """Grouped keys and values are repeated to the number of query heads before they are cached."""
    groups = subject.checkpoint.shape.heads // subject.checkpoint.shape.key_value_heads

    def repeat(output: Any) -> None:
        for layer in _cached(output):
            layer.keys = layer.keys.repeat_interleave(groups, 1)
            layer.values = layer.values.repeat_interleave(groups, 1)

    change_output(subject.model, repeat)


@sick("cache_as_predicted", says=KEEPS, model=GEMMA_WITH_VISION, shows_in={"generation"})
def window_not_heeded_by_the_cache(subject: Any) -> None:
    """Layers of a sliding window keep what has left it."""

    def keep_all(output: Any) -> None:
        for layer in _cached(output):
            if layer.is_sliding:
                layer.keys = torch.cat([layer.keys, layer.keys], dim=-2)

    change_output(subject.model, keep_all)


@sick(
    "cache_as_predicted",
    says=KEEPS,
    model=JAMBA,
)
def states_kept_of_every_step(subject: Any) -> None:
    """The state of a Mamba layer is kept for every step, not for the last alone."""

    def pile(output: Any) -> None:
        for layer in _cached(output):
            states = getattr(layer, "recurrent_states", None)
            if states is not None:
                layer.history = [state.clone() for state in _leaves(states)]

    change_output(subject.model, pile)


def _cached(output: Any, part: str | None = None) -> list[Any]:
    """The layers of the cache that a forward gives back; none where it was asked for none."""
    cache = output.past_key_values
    cache = cache if part is None else getattr(cache, part, None)
    return [] if cache is None else list(cache.layers)


def _leaves(states: Any) -> list[torch.Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(states) if leaf is not None]


@sick(
    "cache_as_predicted",
    says=KEEPS,
    model=T5,
)
def encoder_cached_in_every_layer(subject: Any) -> None:
    """Each layer keeps the encoder's output besides the keys and values made of it."""

    def keep(output: Any) -> None:
        for layer in _cached(output, "cross_attention_cache"):
            layer.encoder = output.encoder_last_hidden_state.clone()

    change_output(subject.model, keep)


@sick(
    "cache_as_predicted", says=r"the cache keeps None bytes, \d+ predicted", shows_in={"generation"}
)
def no_cache_given_back(subject: Any) -> None:
    """`use_cache` is accepted, and no cache is given back."""

    def drop(output: Any) -> None:
        output.past_key_values = None

    change_output(subject.model, drop)


@sick("peak_as_predicted", says=TAKES, mode=Mode.BF16)
def logits_widened(subject: Any) -> None:
    """The logits of a whole prompt are widened to float32 beside those in half precision."""
    change_logits(subject.model, lambda logits: logits.float())


@sick("peak_as_predicted", says=TAKES)
def scores_of_every_layer_kept(subject: Any) -> None:
    """Every layer keeps its attention scores until the end of the forward."""
    kept: list[torch.Tensor] = []

    def keep(inner: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        length = output[0].shape[1]
        kept.append(torch.zeros(1, subject.checkpoint.shape.heads, length, length))
        return output

    for attention in attentions(subject):
        around_forward(attention, keep)
    change_output(subject.model, lambda output: kept.clear())


@sick("peak_as_predicted", says=TAKES, mode=Mode.INT8)
def states_copied_in_every_block(subject: Any) -> None:
    """Every block copies its state for a debugger, in double precision, and keeps the copies."""
    copies: list[torch.Tensor] = []

    def copy(hidden: torch.Tensor) -> torch.Tensor:
        copies.append(hidden.double())
        return hidden

    for block in modules(subject):
        change_hidden(block, copy)
