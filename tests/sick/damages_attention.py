"""Models that attend otherwise by another implementation, or report other weights than they use."""

from __future__ import annotations

from typing import Any

import torch

from compat.interventions import hidden_of, with_hidden
from tests.sick.sickness import GPT_OSS, SLIDING, T5, sick
from tests.sick.surgery import around_forward, attentions, change_output, modules

AGREE = "attention_implementations_agree"
SUM = "attention_weights_sum_to_one"
MASKS = "attention_weights_respect_masks"


def _eagerly(subject: Any, change: Any) -> None:
    """Let `change` replace what an attention puts out while it attends eagerly."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        if subject.model.config._attn_implementation != "eager":
            return output
        return with_hidden(output, change(inner.__self__, hidden_of(output)))

    for attention in attentions(subject):
        around_forward(attention, around)


@sick(AGREE, says="logits by eager: differs")
def eager_scales_otherwise(subject: Any) -> None:
    """The eager implementation forgets a factor that the kernel applies."""
    _eagerly(subject, lambda _module, hidden: hidden * 1.1)


@sick(AGREE, says="logits by eager: differs", spares={"identity_hook_is_exact"})
def one_block_in_half_precision(subject: Any) -> None:
    """One block computes in bfloat16, though its weights and all that it hands on are float32."""

    def narrow(inner: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return inner(*args, **kwargs)

    around_forward(modules(subject)[0], narrow)


@sick(AGREE, says="after eager the former one is not back")
def implementation_chosen_once(subject: Any) -> None:
    """A wrapper lets the implementation be chosen once, and stays with it without a word."""
    inner, chosen = subject.model.set_attn_implementation, []

    def choose(name: str) -> None:
        if not chosen:
            inner(name)
        chosen.append(name)

    subject.model.set_attn_implementation = choose


@sick(AGREE, says=r"after eager \d+ logits are not what they were")
def eager_rescales_for_good(subject: Any) -> None:
    """The eager implementation folds its scale into the module each time it runs."""

    def fold(attention: Any, hidden: torch.Tensor) -> torch.Tensor:
        attention.scaling *= 1.001
        return hidden

    _eagerly(subject, fold)


def _report(subject: Any, change: Any, name: str = "attentions") -> None:
    """Change the attention weights that a forward reports."""

    def write(output: Any) -> None:
        if getattr(output, name, None) is not None:
            setattr(output, name, change(getattr(output, name)))

    change_output(subject.model, write)


@sick(SUM, says="1 blocks report attention weights, 2 attend")
def last_block_reports_nothing(subject: Any) -> None:
    """The weights of the last block are not reported."""
    _report(subject, lambda weights: weights[:-1])


@sick(SUM, says="logits beside attention weights: differs")
def reporting_changes_the_logits(subject: Any) -> None:
    """Where weights are reported they are computed another way, without the mask."""

    def unmasked(inner: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("output_attentions"):
            kwargs["attention_mask"] = torch.ones_like(kwargs["attention_mask"])
        return inner(*args, **kwargs)

    around_forward(subject.model, unmasked)


@sick(SUM, says="block 0: weights of 2 heads, 4 announced")
def one_head_of_a_group_reported(subject: Any) -> None:
    """Of each group of heads that share their keys one is reported."""
    _report(subject, lambda weights: tuple(each[:, ::2] for each in weights))


@sick(SUM, says=r"block 0: a query's weights sum to 0\.5000")
def weights_averaged_over_too_many(subject: Any) -> None:
    """Reported weights are summed over samples and divided by twice their number."""
    _report(subject, lambda weights: tuple(each / 2 for each in weights))


@sick(SUM, says=r"block 0: a query's weights sum to .* another's to 1\.\d+", model=GPT_OSS)
def weights_of_sinks_added_again(subject: Any) -> None:
    """What a head gives to its sink is spread over the text, and half as much once more."""
    _report(subject, lambda weights: tuple(1.5 * each for each in weights))


@sick(SUM, says=r"cross-attention 0: weights sum to 1 \+- 0\.5", model=T5)
def cross_weights_rescaled(subject: Any) -> None:
    """The weights on the encoder are reported halved."""
    _report(subject, lambda weights: tuple(each / 2 for each in weights), "cross_attentions")


@sick(MASKS, says="block 0: a weight of .* on later tokens")
def weights_transposed(subject: Any) -> None:
    """Keys and queries are exchanged in what is reported."""
    _report(subject, lambda weights: tuple(each.mT for each in weights))


@sick(MASKS, says="block 0: a weight of .* on padding")
def padding_attended_to(subject: Any) -> None:
    """The mask of a batch is not looked at."""

    def unmasked(inner: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("attention_mask") is not None:
            kwargs["attention_mask"] = torch.ones_like(kwargs["attention_mask"])
        return inner(*args, **kwargs)

    around_forward(subject.model, unmasked)


@sick(MASKS, says="block 0: a weight of .* on tokens outside the window of 8", model=SLIDING)
def window_of_another_block(subject: Any) -> None:
    """Every block attends to the whole text, the sliding ones too."""
    _report(subject, lambda weights: (weights[-1],) * len(weights))


@sick(
    MASKS,
    says="cross-attention 0: a weight of .* on padding",
    model=T5,
)
def encoder_padding_attended_to_across(subject: Any) -> None:
    """The decoder attends to the encoder's padding."""
    padding_attended_to(subject)
