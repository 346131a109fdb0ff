"""Models whose forward is right and whose backward is not."""

from __future__ import annotations

from typing import Any

import torch

from tests.sick.sickness import GPT2, sick
from tests.sick.surgery import change_hidden

CHECK = "gradient_reaches_captured_state"


class _Scaled(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(context: Any, hidden: torch.Tensor, factor: float) -> torch.Tensor:
        context.factor = factor
        return hidden.view_as(hidden)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient * context.factor, None


def _scale_gradient(subject: Any, factor: float) -> None:
    """Put `_Scaled` behind the final norm."""
    change_hidden(subject.anatomy.final_norm, lambda hidden: _Scaled.apply(hidden, factor))


@sick(CHECK, says="does not come so far: the captured state is cut off from the loss")
def state_detached(subject: Any) -> None:
    """The stream is detached on its way to the head: no gradient flows back."""
    change_hidden(subject.anatomy.final_norm, torch.Tensor.detach)


@sick(CHECK, says="the loss has no gradient: the captured state is cut off from the loss")
def frozen_and_detached(subject: Any) -> None:
    """All weights are frozen, and the stream is detached before the head."""
    subject.model.requires_grad_(False)
    change_hidden(subject.anatomy.final_norm, torch.Tensor.detach)


@sick(CHECK, says="the gradient is zero: the captured state is cut off from the loss", model=GPT2)
def backward_gives_zero(subject: Any) -> None:
    """A kernel's backward was not written and gives zeros."""
    _scale_gradient(subject, 0.0)


@sick(CHECK, says="the gradient holds NaN or infinity")
def backward_gives_nan(subject: Any) -> None:
    """A kernel's backward divides by zero."""
    _scale_gradient(subject, float("nan"))


@sick(CHECK, says=r"along the gradient the loss rises by .* the gradient says")
def backward_off_by_a_factor(subject: Any) -> None:
    """A kernel's backward counts every gradient twice."""
    _scale_gradient(subject, 2.0)


@sick(CHECK, says=r"along the gradient the loss rises by .* the gradient says")
def backward_points_elsewhere(subject: Any) -> None:
    """A kernel's backward gives each feature its neighbour's gradient."""
    change_hidden(subject.anatomy.final_norm, _Rolled.apply)


class _Rolled(torch.autograd.Function):
    """The identity, whose gradient is that of the next feature."""

    @staticmethod
    def forward(_context: Any, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.view_as(hidden)

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient.roll(1, -1)
