"""Skip connections that add something else than they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from compat.interventions import hidden_of, with_hidden
from tests.sick.sickness import sick
from tests.sick.surgery import modules

AT_SCALE_ZERO = "logits differ at scale 0"
Fuse = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
"""Fuses a late state, an early one, and the scale."""


def _skip_by(subject: Any, fuse: Fuse, *, leaks: bool = False) -> None:
    """Let a wrapper carry the first block's state to the last one and fuse them in its own way."""

    @contextmanager
    def skip(scale: float) -> Iterator[None]:
        first, *_, last = modules(subject)
        early: list[torch.Tensor] = []

        def keep(_module: Any, _args: Any, output: Any) -> None:
            early.append(hidden_of(output))

        def add(_module: Any, _args: Any, output: Any) -> Any:
            hidden = hidden_of(output)
            return with_hidden(output, fuse(hidden, _as_long(early, hidden), scale))

        kept = first.register_forward_hook(keep)
        added = last.register_forward_hook(add)
        yield
        kept.remove()
        if not leaks:
            added.remove()

    subject.skip = skip


def _as_long(early: list[torch.Tensor], hidden: torch.Tensor) -> torch.Tensor:
    """The early state of this call."""
    return next(state for state in reversed(early) if state.shape == hidden.shape)


def _in_decoding(fuse: Fuse) -> Fuse:
    """`fuse` for single tokens, and what is right for all others."""

    def by_length(late: torch.Tensor, early: torch.Tensor, scale: float) -> torch.Tensor:
        return fuse(late, early, scale) if late.shape[1] == 1 else late + scale * early

    return by_length


@sick("skip_of_scale_zero_is_exact", says=AT_SCALE_ZERO)
def skip_fused_by_a_mean(subject: Any) -> None:
    """The two states are averaged, whatever the scale."""
    _skip_by(subject, lambda late, early, scale: late + (0.5 + scale) * (early - late))


@sick("skip_of_scale_zero_is_exact", says="decoding steps differ at scale 0")
def skip_wide_open_in_decoding(subject: Any) -> None:
    """A wrapper reads its scale in the prompt only and decodes with 1."""
    _skip_by(subject, _in_decoding(lambda late, early, _scale: late + early))


@sick("skip_adds_the_earlier_state", says="NaN or infinite at scale")
def skip_overflows(subject: Any) -> None:
    """The states are fused by a product that overflows."""
    _skip_by(subject, lambda late, early, scale: late + scale * early * 1e38 * 1e38)


@sick("skip_adds_the_earlier_state", says="move no logit")
def skip_never_connected(subject: Any) -> None:
    """A wrapper builds its skip connections and never calls them."""
    subject.skip = lambda _scale: nullcontext()


@sick("skip_adds_the_earlier_state", says="same sums made by hand")
def skip_of_the_state_before(subject: Any) -> None:
    """Each position is given the early state of the position before it."""
    _skip_by(subject, lambda late, early, scale: late + scale * early.roll(1, dims=1))


@sick("skip_adds_the_earlier_state", says="same sums made by hand")
def skip_from_the_block_itself(subject: Any) -> None:
    """The last block is given its own state: the two ends of the connection are mixed up."""
    _skip_by(subject, lambda late, _early, scale: late + scale * late)


@sick(
    "skip_adds_the_earlier_state",
    says="not what they were before the skip connections",
    shows_in={"generation", "calibration", "embeds", "attention", "memory"},
)
def skip_not_taken_off(subject: Any) -> None:
    """A wrapper takes one of its two hooks off, and the other goes on adding the last state."""
    _skip_by(subject, lambda late, early, scale: late + scale * early, leaks=True)


@sick("skip_holds_in_generation", says="decoding steps are NaN or infinite")
def skip_overflows_in_decoding(subject: Any) -> None:
    """The scale is divided by the number of further tokens, of which a decoding step has none."""
    _skip_by(subject, _in_decoding(lambda late, early, scale: late + early * torch.inf))


@sick("skip_holds_in_generation", says="logits of 3 decoding steps: differs")
def skip_not_carried_into_decoding(subject: Any) -> None:
    """The skip connections work on the prompt and not in decoding."""
    _skip_by(subject, _in_decoding(lambda late, _early, _scale: late))
