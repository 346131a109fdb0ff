"""Models whose single forward is wrong."""

from __future__ import annotations

from typing import Any

import torch

from compat.targets import Mode, Weights
from tests.sick.sickness import GEMMA_WITH_VISION, GPT2, LLAMA_2, sick
from tests.sick.surgery import (
    around_forward,
    attentions,
    change_hidden,
    change_logits,
    change_output,
    modules,
)

NAN = float("nan")


@sick("logits_finite", says="1 positions come out")
def only_the_last_logits(subject: Any) -> None:
    """Only the last position's logits are computed, as for generation."""
    change_logits(subject.model, lambda logits: logits[:, -1:])


@sick("logits_finite", says=r"100 logits a position for a vocabulary of")
def head_narrower_than_the_vocabulary(subject: Any) -> None:
    """The head has fewer rows than the tokenizer has tokens."""
    change_logits(subject.model, lambda logits: logits[..., :100])


@sick("logits_finite", says="1 of .* positions hold NaN")
def nan_in_one_row(subject: Any) -> None:
    """The logits of one position are NaN."""

    def spoil(logits: torch.Tensor) -> torch.Tensor:
        logits[:, 5] = NAN
        return logits

    change_logits(subject.model, spoil)


@sick("logits_finite", says="positions hold NaN or infinity")
def infinite_logit(subject: Any) -> None:
    """One row of the vocabulary overflows to infinity."""

    def overflow(logits: torch.Tensor) -> torch.Tensor:
        logits[..., 7] = float("inf")
        return logits

    change_logits(subject.model, overflow)


@sick("forward_repeats", says="logits differ between two runs", model=GPT2)
@sick(
    "greedy_repeats",
    says=" at first, then |logits that differ",
    model=GPT2,
    shows_in={"forward", "gates", "calibration", "embeds"},
)
def dropout_left_on(subject: Any) -> None:
    """The model's own dropout does not look at whether it is trained."""
    dropout = subject.model.transformer.drop
    around_forward(
        dropout, lambda _inner, hidden: torch.nn.functional.dropout(hidden, 0.5, training=True)
    )


@sick("forward_repeats", says="logits differ between two runs", spares={"recites_teacher_forced"})
@sick(
    "greedy_repeats",
    says="the same tokens, and .* logits that differ",
    shows_in={"gates", "embeds"},
    spares={"recites_teacher_forced"},
)
def sums_in_no_fixed_order(subject: Any) -> None:
    """A kernel adds up in no fixed order: the last digits of the logits differ each time."""
    source = torch.Generator().manual_seed(1)

    def jitter(logits: torch.Tensor) -> torch.Tensor:
        return logits + 1e-5 * torch.rand(logits.shape, generator=source)

    change_logits(subject.model, jitter)


@sick("forward_repeats", says="logits differ between two runs")
@sick(
    "steering_takes_effect_and_is_undone",
    says="earlier logits|not what they were",
    shows_in={"forward", "generation", "gates", "calibration", "embeds", "memory"},
)
def state_kept_between_forwards(subject: Any) -> None:
    """A running mean of what was seen is kept, and added to what comes."""
    seen: list[torch.Tensor] = []

    def remember(hidden: torch.Tensor) -> torch.Tensor:
        past = sum(seen[-8:], torch.zeros_like(hidden[:, :1]))
        seen.append(hidden.detach().mean(1, keepdim=True))
        return hidden + past

    change_hidden(modules(subject)[0], remember)


@sick("recites_teacher_forced", says="of .* taught tokens are not predicted")
@sick("recites_freely", says="says '.*' instead of", shows_in={"forward"})
def feed_forward_gives_nothing(subject: Any) -> None:
    """A shard was merged as zeros: the feed-forward parts add nothing."""
    for block in modules(subject):
        change_hidden(block.mlp, torch.zeros_like)


@sick("recites_teacher_forced", says="of .* taught tokens are not predicted")
@sick("recites_teacher_forced", says="of .* taught tokens are not predicted", model=GPT2)
def attention_gives_nothing(subject: Any) -> None:
    """Attention adds nothing: every token is predicted from the one before it alone."""
    for attention in attentions(subject):
        change_hidden(attention, torch.zeros_like)


@sick(
    "recites_teacher_forced",
    says=r"loss \d+\.\d+ is above the entry's 10.00",
    weights=Weights.LOCAL,
)
def logits_scaled_twice(subject: Any) -> None:
    """The scale of the logits was folded into the head, and is applied once more."""
    change_logits(subject.model, lambda logits: logits * 10)


@sick(
    "recites_teacher_forced",
    says="of .* taught tokens are not predicted",
    model=LLAMA_2,
    shows_in={"precision", "persistence"},
)
def head_shared_with_the_embedding(subject: Any) -> None:
    """The head is tied to the embedding, by a default, in a model that has one of its own."""
    subject.model.lm_head.weight = subject.model.get_input_embeddings().weight


@sick(
    "later_tokens_do_not_reach_back",
    says="logits before the changed token: differs",
    spares={"loss_equals_cross_entropy"},
)
def causal_mask_ignored(subject: Any) -> None:
    """Every position attends to every other."""
    for attention in attentions(subject):
        attention.is_causal = False


@sick(
    "later_tokens_do_not_reach_back",
    says=r"logits before the changed token: differs by \d\.\d+e-02",
    mode=Mode.BF16,
    spares={"recites_teacher_forced", "padded_batch_equals_singles"},
)
@sick(
    "steering_takes_effect_and_is_undone",
    says=r"earlier logits: differs by \d\.\d+e-02",
    mode=Mode.BF16,
    spares={"patching_carries_the_run_over"},
)
def last_token_leaks_back(subject: Any) -> None:
    """What is said last is heard a little at every position: by 1 to 4 % of the logits' range."""
    change_logits(subject.model, lambda logits: logits + 0.05 * logits[:, -1:])


@sick("later_tokens_do_not_reach_back", says="the model does not read them")
@sick(
    "patching_carries_the_run_over",
    says="runs A and B do not differ",
    shows_in={"forward", "generation"},
)
def tokens_not_read(subject: Any) -> None:
    """The embedding gives the same for every token."""
    change_hidden(subject.model.get_input_embeddings(), lambda hidden: torch.ones_like(hidden))


@sick(
    "padded_batch_equals_singles",
    says=r"row 1 of \d+ tokens: differs",
    spares={"recites_teacher_forced", "later_tokens_do_not_reach_back"},
)
@sick(
    "padded_batch_generates_as_singles",
    says=r"row 1: logits of 6 steps: differs|in the batch",
    shows_in={"attention"},
    spares={"recites_teacher_forced", "later_tokens_do_not_reach_back"},
)
def padding_mask_ignored(subject: Any) -> None:
    """The attention mask is not looked at: padding is attended to."""

    def unmasked(inner: Any, *args: Any, **kwargs: Any) -> Any:
        mask = kwargs.get("attention_mask")
        return inner(
            *args,
            **(kwargs | {"attention_mask": None if mask is None else torch.ones_like(mask)}),
        )

    around_forward(subject.model, unmasked)


@sick(
    "padded_batch_equals_singles",
    says=r"row \d of \d+ tokens: differs",
    model=GPT2,
    spares={"recites_teacher_forced"},
)
def position_ids_ignored(subject: Any) -> None:
    """The positions that are given are not used: padding counts as text."""

    def own_positions(inner: Any, *args: Any, **kwargs: Any) -> Any:
        return inner(*args, **(kwargs | {"position_ids": None}))

    around_forward(subject.model, own_positions)


def _report(model: Any, loss: Any) -> None:
    """Let a model report `loss(logits, labels)`, or a change of its own loss where it has one."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        if kwargs.get("labels") is not None:
            output.loss = loss(output, kwargs["labels"])
        return output

    around_forward(model, around)


@sick(
    "loss_equals_cross_entropy",
    says="the model reports a loss of",
    spares={"recites_teacher_forced"},
)
def loss_not_shifted(subject: Any) -> None:
    """The loss compares each logit with the token it was computed from."""
    _report(
        subject.model,
        lambda output, labels: torch.nn.functional.cross_entropy(output.logits[0], labels[0]),
    )


@sick(
    "loss_equals_cross_entropy",
    says="the model reports a loss of",
    spares={"recites_teacher_forced"},
)
def loss_over_a_constant(subject: Any) -> None:
    """The loss is the sum over the tokens divided by a fixed length of 2048."""
    _report(subject.model, lambda output, labels: output.loss * labels.shape[1] / 2048)


def _report_states(subject: Any, change: Any) -> None:
    def write(output: Any) -> None:
        if output.hidden_states is not None:
            output.hidden_states = change(output.hidden_states)

    change_output(subject.model, write)


@sick("hidden_states_complete", says="reports no hidden states when asked")
def hidden_states_not_reported(subject: Any) -> None:
    """`output_hidden_states` is accepted and does nothing."""

    def forget_states(output: Any) -> None:
        output.hidden_states = None

    change_output(subject.model, forget_states)


@sick("hidden_states_complete", says="2 states for 2 blocks")
def last_hidden_state_missing(subject: Any) -> None:
    """The last hidden state is not among those reported."""
    _report_states(subject, lambda states: states[:-1])


@sick("hidden_states_complete", says="widths are .*32.* announced")
def hidden_states_of_half_the_width(subject: Any) -> None:
    """What is reported is the half of the state that one of two devices holds."""
    _report_states(subject, lambda states: tuple(state[..., :32] for state in states))


@sick("hidden_states_complete", says=r"hidden states \[1\] hold NaN")
def nan_in_a_hidden_state(subject: Any) -> None:
    """The state after the first block overflows where it is reported."""
    _report_states(subject, lambda states: (states[0], states[1] * NAN, *states[2:]))


def _change_image_features(subject: Any, change: Any) -> None:
    projector = subject.model.model.multi_modal_projector
    around_forward(projector, lambda inner, *args, **kwargs: change(inner(*args, **kwargs)))


@sick("image_changes_logits", says="the image is not seen", model=GEMMA_WITH_VISION)
def image_features_dropped(subject: Any) -> None:
    """What the vision tower sees is replaced by zeros before it enters the text."""
    _change_image_features(subject, torch.zeros_like)


@sick("image_changes_logits", says="the image is not seen", model=GEMMA_WITH_VISION)
def every_image_the_same(subject: Any) -> None:
    """The tower keeps the features of the first image that it saw and gives them for all."""
    first: list[torch.Tensor] = []

    def keep(features: torch.Tensor) -> torch.Tensor:
        first.append(features.detach())
        return first[0]

    _change_image_features(subject, keep)


@sick("image_changes_logits", says="logits after an image are not finite", model=GEMMA_WITH_VISION)
def image_features_overflow(subject: Any) -> None:
    """The vision tower overflows."""
    _change_image_features(subject, lambda features: features * NAN)
