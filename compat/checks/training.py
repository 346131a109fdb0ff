"""Training: gradients reach the weights, checkpointing changes none, an adapter comes and goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.nn import Parameter

    from compat.subject import Subject

RESIDENT = "resident-weights"
"""Of an offloaded weight a copy is used in each forward: no gradient gets back to it."""

LOWERED = 0.02
"""By how much of the loss a step should lower it, were the loss as steep all the way."""


@check(Area.TRAINING, needs={RESIDENT}, memory="training")
def gradient_reaches_every_weight(subject: Subject) -> None:
    """Every trainable weight that takes part gets a finite gradient: the slope of the loss."""
    from compat.subject.training import gradients, modules_that_ran

    loss, found = gradients(subject)
    ran = modules_that_ran(subject)
    missing = [n for n, grad in found.items() if grad is None and n.rpartition(".")[0] in ran]
    assert not missing, f"{len(missing)} weights take part without a gradient: {_some(missing)}"
    reached = {name: gradient for name, gradient in found.items() if gradient is not None}
    broken = [name for name, gradient in reached.items() if not bool(gradient.isfinite().all())]
    assert not broken, f"{len(broken)} weights have NaN or infinity in theirs: {_some(broken)}"
    length = sum(float(gradient.float().square().sum()) for gradient in reached.values()) ** 0.5
    subject.measure("loss_nats", float(loss))
    subject.measure("gradient_norm", length)
    subject.measure("weights_reached", len(reached))
    assert length > 0, "every gradient is zero"
    if subject.rounds_activations:
        return
    slope = _slope(subject, reached, length)
    subject.measure("slope_over_gradient", slope / length)
    assert abs(slope - length) <= 0.1 * length, (
        f"along the gradient the loss rises by {slope:.4f} a unit, the gradient says {length:.4f}"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _slope(subject: Subject, gradients: dict[str, Tensor], length: float) -> float:
    """The loss's slope along its gradient at the weights."""
    from compat.subject.slope import slope_along
    from compat.subject.training import loss_beside

    direction = {name: gradient / length for name, gradient in gradients.items()}
    # Weights have no one size: steps are to move the loss by a tenth of a nat and less.
    ten_nats = 10 / length
    return slope_along(lambda step: loss_beside(subject, direction, step), ten_nats, length)


@check(Area.TRAINING, needs={RESIDENT}, memory="training")
def gradient_checkpointing_changes_no_gradient(subject: Subject) -> None:
    """With gradient checkpointing every block runs twice, and every gradient is the same."""
    from compat.outcomes import NotApplicable
    from compat.subject.training import checkpointing, entries, gradients

    if not getattr(subject.model, "supports_gradient_checkpointing", False):
        raise NotApplicable("the model's class supports no gradient checkpointing")
    blocks = subject.anatomy.blocks
    parts = [part.module for b in blocks if (part := b.attention or b.feed_forward) is not None]
    with checkpointing(subject.model, enabled=False):
        _, plain = gradients(subject)
    with checkpointing(subject.model), entries(parts) as entered:
        _, saved = gradients(subject)
    assert len(entered) == 2 * len(parts), (
        f"{len(parts)} blocks run {len(entered)} times: none are computed again"
    )
    lost = [name for name, gradient in plain.items() if (gradient is None) != (saved[name] is None)]
    assert not lost, f"{len(lost)} weights have a gradient once and once none: {_some(lost)}"
    # On a GPU the gradient of an embedding is added up in an order that is not fixed.
    floor = 0.0 if subject.device.type == "cpu" else subject.tolerance
    worst = {name: _difference(saved[name], gradient) for name, gradient in plain.items()}
    other = [name for name, difference in worst.items() if not difference <= floor]
    assert not other, f"{len(other)} gradients differ with checkpointing: {_some(other)}"


def _difference(one: Tensor | None, other: Tensor | None) -> float:
    """The distance of two gradients as a share of the second's length."""
    if one is None or other is None:
        return 0.0
    return float((one - other).float().norm() / other.float().norm().clamp(min=1e-12))


@check(Area.TRAINING, needs={"attention", RESIDENT}, memory="backward")
def lora_adapter_learns_and_detaches(subject: Subject) -> None:
    """A LoRA adapter at the attention output projections learns a step and leaves no trace."""
    import torch

    from compat.interventions.lora import lora
    from compat.outcomes import NotApplicable
    from compat.subject.training import training_loss

    attending = [block.attention for block in subject.anatomy.blocks if block.attention]
    layers = [part.projection_path for part in attending if part.projection_path is not None]
    if not layers:
        raise NotApplicable("no attention of the model has an output projection")
    before = subject.logits(subject.text.inputs)
    with lora(subject.model, layers) as adapter:
        assert len(adapter) == 2 * len(layers), (
            f"{len(adapter)} weights ask for a gradient beside {len(layers)} projections"
        )
        moved = int((subject.logits(subject.text.inputs) != before).sum())
        assert moved == 0, f"{moved} logits differ as soon as the adapter is attached"
        loss = training_loss(subject, grad=True)
        gradients = torch.autograd.grad(loss, list(adapter.values()), allow_unused=True)
        cut_off = [name for name, grad in zip(adapter, gradients, strict=True) if grad is None]
        assert not cut_off, f"{len(cut_off)} adapter weights get no gradient: {_some(cut_off)}"
        at_first = float(loss.detach())
        steepness = _step(adapter, gradients, at_first)
        assert steepness > 0, "the adapter's gradient is zero, NaN or infinite"
        after = float(training_loss(subject))
    subject.measure("loss_before_nats", at_first)
    subject.measure("loss_after_nats", after)
    assert after < at_first, f"a step takes the loss from {at_first:.3f} to {after:.3f}"
    different = int((subject.logits(subject.text.inputs) != before).sum())
    assert different == 0, f"{different} logits differ after the adapter is taken off"


def _step(adapter: dict[str, Parameter], gradients: Sequence[Tensor], loss: float) -> float:
    """Step down the gradient so far that the loss should be lowered by `LOWERED` of it.

    Returns the squared length of the gradient, 0 where it is none to step along.
    """
    import torch

    steepness = sum(float(gradient.float().square().sum()) for gradient in gradients)
    if not 0 < steepness < float("inf"):
        return 0.0
    with torch.no_grad():
        for weight, gradient in zip(adapter.values(), gradients, strict=True):
            weight.sub_(LOWERED * loss / steepness * gradient)
    return steepness
