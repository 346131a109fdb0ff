"""Positions: what a config announces of them, and what attention makes of them.

Everything is measured on one token repeated. Where position enters through attention alone, all
its hidden states are the same, so that queries, keys and scores differ by position and by nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from compat.anatomy.anatomy import text_config
from compat.subject.inputs import Inputs

if TYPE_CHECKING:
    from compat.subject.adaptable import AdaptableModel

LENGTH = 56
"""Of the repeated token: longer than a twin's window, and no head's width."""


def announces_rotation(model: nn.Module) -> bool:
    """Whether the config says by which angles queries and keys are turned."""
    return bool(getattr(text_config(model), "rope_parameters", None))


def announces_linear_bias(model: nn.Module, attentions: Iterable[nn.Module]) -> bool:
    """Whether the config says that scores fall off with distance (ALiBi), or else the class does.

    BLOOM's config says nothing of it: its attention takes the bias by name.
    """
    config = text_config(model)
    for settings in (config, getattr(config, "attn_config", None)):
        announced = getattr(settings, "alibi", None)
        if announced is not None:
            return bool(announced)
    return any("alibi" in signature(module.forward).parameters for module in attentions)


def announced_frequencies(model: nn.Module, block: int, length: int) -> torch.Tensor:
    """By how much a position more turns each plane in a block, in radians, (planes,), float64.

    By Su et al. 2021, base^(-2p/width) for plane p; what stretches them for longer texts is
    computed by transformers from the config, for a text of `length`.
    """
    config = text_config(model)
    parameters, kind = config.rope_parameters, None
    if "rope_type" not in parameters:
        kind = config.layer_types[block]
        parameters = parameters[kind]
    if parameters["rope_type"] != "default":
        compute = ROPE_INIT_FUNCTIONS[parameters["rope_type"]]
        stretched: torch.Tensor
        stretched, _ = compute(config, torch.device("cpu"), seq_len=length, layer_type=kind)
        return stretched.double()
    width = int(_head_width(config) * parameters.get("partial_rotary_factor", 1.0))
    planes = torch.arange(0, width, 2, dtype=torch.float64)
    base = torch.tensor(float(parameters["rope_theta"]), dtype=torch.float64)
    return base ** (-planes / width)


def _head_width(config: Any) -> int:
    announced = getattr(config, "head_dim", None)
    return int(announced or config.hidden_size // config.num_attention_heads)


def turns_nothing(model: nn.Module, block: int) -> bool:
    """Whether the config leaves a block without rotation: its list of such blocks says so."""
    turned: list[int] = getattr(text_config(model), "no_rope_layers", None) or []
    return bool(turned) and not turned[block]


@dataclass(frozen=True)
class Repeated:
    """What one attention compares over a repeated token: (heads, length, width), float64."""

    block: int
    queries: torch.Tensor
    keys: torch.Tensor


def repeated_token(subject: AdaptableModel) -> Inputs:
    """One token of the text, over and over."""
    ids = subject.text.inputs.ids
    return Inputs.of(ids[:, ids.shape[1] // 2, None].repeat(1, LENGTH))


def compared(subject: AdaptableModel) -> list[Repeated]:
    """Queries and keys over a repeated token, of the attentions that can be looked into."""
    with subject.queries_and_keys() as collected:
        alike = _read_repeated(subject)
    return [
        Repeated(site.block, *(each[0].double().cpu() for each in calls[0]))
        for site, calls in zip(subject.gate_sites, collected, strict=True)
        if calls and site.block in alike
    ]


def distance_biases(subject: AdaptableModel) -> dict[int, torch.Tensor]:
    """How much more heads give to a token than to the one so far back, in nats, by block.

    (heads, distances), float64, of the last query, as far as it sees.
    """
    with subject.attention_weights() as collected:
        alike = _read_repeated(subject)
    return {
        site.block: _bias(calls[0][0])
        for site, calls in zip(subject.gate_sites, collected, strict=True)
        if calls and site.block in alike
    }


def _bias(weights: torch.Tensor) -> torch.Tensor:
    last = weights[:, -1, :LENGTH].double().cpu().flip(-1)
    return last[:, :1].log() - last.log()


def _read_repeated(subject: AdaptableModel) -> frozenset[int]:
    """Read one token repeated; the blocks that are given the same state at every position.

    Where heads have sinks, or states are carried from token to token, the later ones are not.
    """
    output = subject.forward(repeated_token(subject), output_hidden_states=True)
    bound = subject.tolerance / 10
    states = [state[0].float() for state in output.hidden_states or ()]
    return frozenset(
        index
        for index, state in enumerate(states)
        if (state - state[:1]).norm(dim=-1).max() <= bound * state.norm(dim=-1).max()
    )


def turning(series: torch.Tensor, frequencies: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """By which frequency each number of a vector turns with its position, and how badly it fits.

    `series` is (..., length, width); `frequencies` may hold 0, for what does not turn. A number
    that is turned by f is a sum of cos(f t) and sin(f t). Returns, (..., width), the index of the
    frequency that fits best and what it leaves over, as a share of the largest number.
    """
    least, which = _left_over(series, frequencies).min(dim=0)
    return which, least / series.norm(dim=-2).amax(-1, keepdim=True)


def told_apart(frequencies: torch.Tensor, bound: float) -> list[int]:
    """Indices of the frequencies whose wave, over the repeated token, no other one fits."""
    waves = (frequencies * torch.arange(LENGTH, dtype=torch.float64)[:, None]).cos()
    left = _left_over(waves, frequencies).fill_diagonal_(torch.inf)
    apart = left.amin(0) > bound * waves.norm(dim=0)
    return [int(index) for index in apart.nonzero()]


def _left_over(series: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """How long a series, (..., length, width), is without its share of each frequency.

    (frequencies, ..., width).
    """
    time = torch.arange(series.shape[-2], dtype=series.dtype)
    angles = frequencies[:, None] * time
    cosines = torch.nn.functional.normalize(angles.cos(), dim=-1)
    sines = angles.sin()
    sines = sines - (sines * cosines).sum(-1, keepdim=True) * cosines
    basis = torch.stack([cosines, torch.nn.functional.normalize(sines, dim=-1)], dim=1)
    shares = torch.einsum("fkl,...lw->f...kw", basis, series)
    left: torch.Tensor = series.square().sum(-2) - shares.square().sum(-2)
    return left.clamp(min=0).sqrt()


def beyond_distance(repeated: Repeated) -> float:
    """How far scores depend on more than the distance of two tokens, as a share of their range."""
    scores = repeated.queries @ repeated.keys.mT
    moved = scores[..., 1:, 1:] - scores[..., :-1, :-1]
    return float(moved.abs().max() / (scores.max() - scores.min()))


def published_slopes(heads: int) -> torch.Tensor:
    """The slopes of linear biases by Press et al. 2022, (heads,), float64, in nats a token.

    For a power of two, 2^(-8/heads) to its powers from 1 on; else those of the power of two below,
    then every other one of the power of two above.
    """
    power = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * head / power) for head in range(1, power + 1)]
    between = [2 ** (-4 * head / power) for head in range(1, 2 * power, 2)]
    return torch.tensor([*slopes, *between][:heads], dtype=torch.float64)
