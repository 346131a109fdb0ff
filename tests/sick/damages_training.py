"""Models whose weights can't be trained, or not as they seem to be."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from compat.interventions import hidden_of, with_hidden
from tests.sick.sickness import GPT2, sick
from tests.sick.surgery import (
    Change,
    around_forward,
    attentions,
    change_hidden,
    change_logits,
    modules,
)

GRADIENT = "gradient_reaches_every_weight"
CHECKPOINTING = "gradient_checkpointing_changes_no_gradient"
LORA = "lora_adapter_learns_and_detaches"


def _change_gradient(subject: Any, change: Change) -> None:
    """Change the gradient on its way back from the logits."""

    def watch(logits: torch.Tensor) -> torch.Tensor:
        if logits.requires_grad:
            logits.register_hook(change)
        return logits

    change_logits(subject.model, watch)


@sick(
    GRADIENT, says="1 weights take part without a gradient: model.layers.0.self_attn.q_proj.weight"
)
def queries_detached(subject: Any) -> None:
    """The queries of the first block are computed under `no_grad`."""
    change_hidden(attentions(subject)[0].q_proj, torch.Tensor.detach)


@sick(GRADIENT, says="20 weights have NaN or infinity in theirs")
def gradient_overflows(subject: Any) -> None:
    """The backward of the loss overflows."""
    _change_gradient(subject, lambda gradient: gradient * torch.inf)


@sick(GRADIENT, says="every gradient is zero")
def gradient_underflows(subject: Any) -> None:
    """The backward of the loss is scaled down until nothing of it is left."""
    _change_gradient(subject, lambda gradient: gradient * 0)


@sick(GRADIENT, says=r"along the gradient the loss rises by .* the gradient says", model=GPT2)
def gradient_counted_twice(subject: Any) -> None:
    """A tied weight hands its gradient on from both of its places, each time the whole."""
    _change_gradient(subject, lambda gradient: gradient * 2)


def _checkpoint_by(subject: Any, function: Any) -> None:
    """Let the blocks be checkpointed by another function than torch's."""
    inner = subject.model.activation_checkpointing_enable

    def enable(*args: Any, **kwargs: Any) -> None:
        inner(*args, **kwargs)
        for block in modules(subject):
            block._gradient_checkpointing_func = function

    subject.model.activation_checkpointing_enable = enable


@sick(CHECKPOINTING, says="2 blocks run 2 times: none are computed again")
def checkpointing_accepted_and_not_done(subject: Any) -> None:
    """Gradient checkpointing is switched on and saves nothing."""
    _checkpoint_by(subject, lambda run, *args: run(*args))


@sick(CHECKPOINTING, says=r"\d+ weights have a gradient once and once none")
def checkpointing_cuts_off(subject: Any) -> None:
    """What a checkpointed block is given is detached, and its gradient not handed on."""

    def cut_off(run: Any, hidden: torch.Tensor, *args: Any) -> Any:
        with torch.no_grad():
            run(hidden, *args)
        return run(hidden.detach(), *args)

    _checkpoint_by(subject, cut_off)


@sick(
    CHECKPOINTING,
    says=r"\d+ gradients differ with checkpointing",
    spares={"gradient_reaches_every_weight"},
)
def recomputed_in_half_precision(subject: Any) -> None:
    """What a checkpointed block is given is kept in half precision."""

    def rounded(run: Any, hidden: torch.Tensor, *args: Any) -> Any:
        return checkpoint(run, hidden.half().float(), *args, use_reentrant=False)

    _checkpoint_by(subject, rounded)


@sick(LORA, says="8 weights ask for a gradient beside 2 projections", shows_in={"precision"})
def teacher_kept_inside(subject: Any) -> None:
    """A copy of the model is kept inside it, as a teacher: adapters go to its projections too."""
    subject.model.teacher = nn.Module()
    subject.model.teacher.model = copy.deepcopy(subject.model.model)


def _is_adapted(attention: Any) -> bool:
    return not isinstance(attention.o_proj, nn.Linear)


def _in_attention(subject: Any, change: Any) -> None:
    """Let `change` replace what each attention puts out."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        return with_hidden(output, change(inner.__self__, hidden_of(output)))

    for attention in attentions(subject):
        around_forward(attention, around)


@sick(LORA, says=r"\d+ logits differ as soon as the adapter is attached")
def fast_path_left_when_adapted(subject: Any) -> None:
    """A fused kernel is left for one that rounds otherwise where the projection is no `Linear`."""
    _in_attention(
        subject, lambda module, hidden: hidden.half().float() if _is_adapted(module) else hidden
    )


@sick(LORA, says=r"\d+ logits differ after the adapter is taken off")
def fast_path_lost_for_good(subject: Any) -> None:
    """A module that has once seen an adapter rounds otherwise when it is gone."""
    seen: set[int] = set()

    def remember(module: Any, hidden: torch.Tensor) -> torch.Tensor:
        if _is_adapted(module):
            seen.add(id(module))
            return hidden
        return hidden.half().float() if id(module) in seen else hidden

    _in_attention(subject, remember)


@sick(LORA, says="2 adapter weights get no gradient: ")
def attention_without_a_backward(subject: Any) -> None:
    """The first block's attention is fused, its output projection too, and has no backward."""
    change_hidden(attentions(subject)[0], torch.Tensor.detach)


@sick(LORA, says="the adapter's gradient is zero, NaN or infinite")
def adapters_gradient_overflows(subject: Any) -> None:
    """The backward of the loss overflows."""
    gradient_overflows(subject)


@sick(LORA, says="a step takes the loss from")
def adapter_learns_the_wrong_way(subject: Any) -> None:
    """The backward of the loss has the wrong sign."""
    _change_gradient(subject, lambda gradient: -gradient)
