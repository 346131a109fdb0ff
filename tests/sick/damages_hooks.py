"""Models in which a hook sees or changes something else than the model computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from compat.interventions import hidden_of, with_hidden
from compat.targets import Mode
from tests.sick.sickness import sick
from tests.sick.surgery import (
    around_forward,
    attentions,
    carry_beside,
    change_hidden,
    change_output,
    modules,
)


def _report_states(subject: Any, change: Any) -> None:
    def write(output: Any) -> None:
        if output.hidden_states is not None:
            output.hidden_states = change(output.hidden_states)

    change_output(subject.model, write)


@sick("captured_equals_hidden_states", says="block 0: captured and reported differ")
def states_reported_one_late(subject: Any) -> None:
    """The embedding is reported twice and every block's state one place too late."""
    _report_states(subject, lambda states: (states[0], *states[:-1]))


@sick("captured_equals_hidden_states", says="the last block's output after the final norm: differs")
def reported_state_normed_twice(subject: Any) -> None:
    """The final norm is applied twice to the last state that is reported."""
    norm = subject.anatomy.final_norm
    _report_states(subject, lambda states: (*states[:-1], 3 * norm(norm(states[-1])) - 1))


@sick("identity_hook_is_exact", says="logits differ under an identity hook")
def fast_path_left_when_hooked(subject: Any) -> None:
    """A block leaves its fused kernel, which rounds otherwise, once a hook more is on it."""
    block = modules(subject)[0]
    usual = len(block._forward_hooks)

    def rounded(hidden: torch.Tensor) -> torch.Tensor:
        return hidden.half().to(hidden) if len(block._forward_hooks) > usual else hidden

    change_hidden(block, rounded)


@sick("identity_hook_is_exact", says="logits differ under an identity hook")
def output_changed_through_an_alias(subject: Any) -> None:
    """A block keeps its output and writes into it after handing it on."""
    kept: list[torch.Tensor] = []
    first, last = modules(subject)

    def keep(hidden: torch.Tensor) -> torch.Tensor:
        kept[:] = [hidden]
        return hidden

    def write(inner: Any, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        kept[0].mul_(1.5)
        return inner(hidden, *args, **kwargs)

    change_hidden(first, keep)
    around_forward(last, write)


@sick(
    "steering_takes_effect_and_is_undone",
    says="block 0: earlier logits: differs",
    shows_in={"calibration"},
)
def steering_seen_by_earlier_tokens(subject: Any) -> None:
    """The last block attends in both directions: what is added later is seen earlier."""
    attentions(subject)[-1].is_causal = False


@sick(
    "steering_takes_effect_and_is_undone",
    says="moves no logit by more than",
    spares={"identity_hook_is_exact"},
)
@sick(
    "patching_carries_the_run_over",
    says="logits of A patched with B: differs",
    spares={"identity_hook_is_exact"},
)
def what_hooks_return_is_dropped(subject: Any) -> None:
    """Hooks fire and see every state, but the model goes on with its own."""
    carry_beside(subject, lambda entering, leaving: leaving)


@sick("steering_takes_effect_and_is_undone", says="not what they were after the steering ended")
def steering_leaks(subject: Any) -> None:
    """A wrapper's steering leaves its hook behind."""

    @contextmanager
    def steer(index: int, direction: torch.Tensor, *, start: int = 0) -> Iterator[None]:
        def add(_module: Any, _args: Any, output: Any) -> Any:
            hidden = hidden_of(output).clone()
            hidden[:, start:] += direction
            return with_hidden(output, hidden)

        modules(subject)[index].register_forward_hook(add)
        yield

    subject.steer = steer


@sick("patching_carries_the_run_over", says="logits of A patched with B: differs")
def skip_connection_around_the_last_block(subject: Any) -> None:
    """A U-Net skip carries the first block's input past all hooks to the final norm."""
    _carry_to_the_final_norm(subject, 1.0)


@sick(
    "patching_carries_the_run_over",
    says=r"logits of A patched with B: differs by \d\.\d+e-02",
    mode=Mode.BF16,
    spares={"recites_teacher_forced"},
)
def faint_skip_connection_around_the_last_block(subject: Any) -> None:
    """The same with a small scale, in half precision: it hides in what rounding explains."""
    _carry_to_the_final_norm(subject, 0.3)


def _carry_to_the_final_norm(subject: Any, scale: float) -> None:
    entered: list[torch.Tensor] = []

    def keep(inner: Any, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        entered[:] = [hidden]
        return inner(hidden, *args, **kwargs)

    around_forward(modules(subject)[0], keep)
    around_forward(
        subject.anatomy.final_norm, lambda inner, hidden: inner(hidden + scale * entered[0])
    )


@sick(
    "usable_block_found",
    says=r"blocks \[1, 0\] all hold NaN",
    shows_in={"forward", "generation", "gates", "calibration", "embeds", "attention"},
)
def nan_in_every_block(subject: Any) -> None:
    """Every block overflows to NaN."""
    for block in modules(subject):
        change_hidden(block, lambda hidden: hidden * torch.nan)
