"""Models in which a token's position means something else than the config announces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers.models.llama import modeling_llama

from compat.targets import Mode
from tests.sick.sickness import BLOOM, LLAMA_2, sick
from tests.sick.surgery import around_forward, attentions

ROTARY = "rotary_turns_as_announced"
SLOPES = "linear_bias_has_its_slopes"
OTHER_ANGLES = "block 0: queries turn by other angles than the config announces"

Turn = Callable[[Any, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], Any]
"""Called with the model's own function, and its queries, keys, cosines and sines."""


def _frequencies(subject: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    rotary = subject.model.model.rotary_emb
    rotary.inv_freq = change(rotary.inv_freq)


@sick(
    ROTARY, says=OTHER_ANGLES, spares={"attention_implementations_agree", "cache_changes_nothing"}
)
def base_ten_times_as_large(subject: Any) -> None:
    """The base of the rotary angles is read from another config: ten times the model's own."""
    planes = len(subject.model.model.rotary_emb.inv_freq)
    shrink = 10 ** (-torch.arange(planes) / planes)
    _frequencies(subject, lambda frequencies: frequencies * shrink)


@sick(ROTARY, says=OTHER_ANGLES)
def stretching_forgotten(subject: Any) -> None:
    """The config stretches positions for longer texts; the angles are those without it."""
    rotary = subject.model.model.rotary_emb
    plain, _ = rotary.compute_default_rope_parameters(subject.model.config)
    _frequencies(subject, lambda _frequencies: plain)


@sick(
    ROTARY,
    says=OTHER_ANGLES,
    model=LLAMA_2,
    spares={"recites_teacher_forced", "cache_changes_nothing"},
)
def angles_in_half_precision(subject: Any) -> None:
    """The table of angles was loaded in bfloat16: they are off by up to 0.4 %."""
    _frequencies(subject, lambda frequencies: frequencies.bfloat16().float())


@sick(
    ROTARY,
    says=r"queries: by 1\.0000 a token turn \[0, 0, 0, 0\] numbers",
    model=LLAMA_2,
    shows_in={"forward", "generation"},
)
def half_of_the_planes_stand_still(subject: Any) -> None:
    """Half of each head is turned, as in a model that announces a rotary fraction of 0.5."""

    def still(frequencies: torch.Tensor) -> torch.Tensor:
        kept = frequencies.clone()
        kept[: len(kept) // 2] = 0
        return kept

    _frequencies(subject, still)


def _turn_by(subject: Any, turn: Turn) -> None:
    """Let every attention turn its queries and keys by another function than the model's own."""
    own = modeling_llama.apply_rotary_pos_emb

    def with_turn(inner: Any, *args: Any, **kwargs: Any) -> Any:
        modeling_llama.apply_rotary_pos_emb = lambda *given: turn(own, *given[:4])
        try:
            return inner(*args, **kwargs)
        finally:
            modeling_llama.apply_rotary_pos_emb = own

    for attention in attentions(subject):
        around_forward(attention, with_turn)


@sick(
    ROTARY,
    says=r"keys: by 1\.0000 a token turn \[0, 0, 0, 0\] numbers of the heads, not 2",
    shows_in={"forward"},
)
def keys_not_turned(subject: Any) -> None:
    """Keys go into the cache before they are turned, and are never turned after."""
    _turn_by(subject, lambda own, query, key, *angles: (own(query, key, *angles)[0], key))


@sick(ROTARY, says="they depend on more than distance", spares={"attention_implementations_agree"})
def queries_turned_backwards(subject: Any) -> None:
    """Queries are turned against the sense in which keys are turned."""

    def turn(own: Any, query: Any, key: Any, cosines: Any, sines: Any) -> Any:
        return own(query, key, cosines, -sines)[0], own(query, key, cosines, sines)[1]

    _turn_by(subject, turn)


def _change_slopes(
    subject: Any, change: Callable[[torch.Tensor], torch.Tensor], blocks: slice = slice(None)
) -> None:
    """Change the bias of the attention of some blocks, (heads, 1, length)."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["alibi"] = change(kwargs["alibi"])
        return inner(*args, **kwargs)

    for attention in attentions(subject)[blocks]:
        around_forward(attention, around)


@sick(SLOPES, says=r"block 0: heads \[.*\] fall off by", model=BLOOM)
def slopes_of_heads_reversed(subject: Any) -> None:
    """The steepest slope is given to the last head."""
    _change_slopes(subject, lambda bias: bias.flip(0))


@sick(SLOPES, says=r"block 0: heads \[.*\] fall off by", model=BLOOM)
def slopes_of_twice_as_many_heads(subject: Any) -> None:
    """The slopes are made for all heads of two devices, and the first half is taken."""
    heads = subject.gate_sites[0].heads
    ratio = 2 ** (4 * torch.arange(1, heads + 1) / heads)
    _change_slopes(subject, lambda bias: bias * ratio.repeat(len(bias) // heads)[:, None, None])


@sick(SLOPES, says=r"block 1: heads \[0, 1, 2, 3\] fall off by \[.*\] nats", model=BLOOM)
@sick(SLOPES, says=r"block 1: heads \[0, 1\] fall off by", model=BLOOM, mode=Mode.BF16)
def bias_of_one_block_dropped(subject: Any) -> None:
    """One block's attention is computed without its bias."""
    _change_slopes(subject, torch.zeros_like, slice(1, 2))


@sick(SLOPES, says=r"block 0: heads \[3\] fall off by", model=BLOOM)
def bias_of_one_head_lost(subject: Any) -> None:
    """The last head's bias is lost on the way: it sees all tokens alike."""

    def lose(bias: torch.Tensor) -> torch.Tensor:
        kept = bias.clone()
        kept[3::4] = 0
        return kept

    _change_slopes(subject, lose)


@sick(
    SLOPES,
    says=r"block 0: heads \[.*\] do not fall off evenly",
    model=BLOOM,
    shows_in={"calibration"},
)
def bias_clipped(subject: Any) -> None:
    """The bias of tokens far back is clipped, as with positions in buckets."""
    _change_slopes(subject, lambda bias: bias.clamp(min=float(bias.max()) - 2))


@sick(
    SLOPES,
    says=r"block 0: heads \[.*\] do not fall off evenly",
    model=BLOOM,
    shows_in={"calibration"},
)
def bias_in_steps(subject: Any) -> None:
    """Distances are counted in steps of four tokens: over all of them the slopes are right."""

    def step(bias: torch.Tensor) -> torch.Tensor:
        slopes = (bias[..., 1:2] - bias[..., :1]) if bias.shape[-1] > 1 else bias[..., :1]
        distances = torch.arange(bias.shape[-1] - 1, -1, -1)
        # Half a step up and down, so that the line through the steps is the published one.
        away = torch.where(distances == 0, 0, distances.div(4, rounding_mode="floor") * 4 + 1.5)
        return bias[..., -1:] - slopes * away

    _change_slopes(subject, step)


@sick(
    ROTARY,
    says=r"block 1: queries: by 1\.0000 a token turn \[0, 0, 0, 0\] numbers",
    model=LLAMA_2,
    shows_in={"forward", "generation"},
)
def rotation_of_one_block_dropped(subject: Any) -> None:
    """One block's attention compares queries and keys as if they had no positions."""
    own = modeling_llama.apply_rotary_pos_emb

    def without(inner: Any, *args: Any, **kwargs: Any) -> Any:
        modeling_llama.apply_rotary_pos_emb = lambda query, key, *_angles, **_more: (query, key)
        try:
            return inner(*args, **kwargs)
        finally:
            modeling_llama.apply_rotary_pos_emb = own

    around_forward(attentions(subject)[1], without)


@sick(
    "cache_changes_nothing",
    says="cached: logits of 6 steps: differs|with a cache",
)
def decoding_one_position_late(subject: Any) -> None:
    """With a cache, each new token is given the position after its own."""

    def late(inner: Any, *args: Any, **kwargs: Any) -> Any:
        positions = kwargs.get("position_ids")
        if positions is not None and positions.shape[1] == 1:
            kwargs["position_ids"] = positions + 1
        return inner(*args, **kwargs)

    around_forward(subject.model, late)
