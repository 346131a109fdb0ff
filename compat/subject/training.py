"""Training steps on a subject that leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from compat.anatomy.trace import trace_forward

if TYPE_CHECKING:
    from compat.subject.inputs import Inputs
    from compat.subject.subject import Subject

POSITIONS = 32
"""How much of the text a step is taken on."""


def lesson(subject: Subject) -> tuple[Inputs, torch.Tensor]:
    """What is read in a training step, and the tokens to be said, (positions,).

    They are the text's in reverse, so that there is something to learn. A model with a vision
    tower reads an image too.
    """
    if subject.has("vision"):
        inputs = subject.image_inputs(0)
    else:
        inputs = subject.text.inputs.first(POSITIONS)
    labels = subject.text.labels[0].flip(0)[:POSITIONS]
    return inputs, labels[: inputs.length]


def training_loss(subject: Subject, *, grad: bool = False) -> torch.Tensor:
    """The cross entropy of the lesson, in nats a token."""
    inputs, labels = lesson(subject)
    return cross_entropy(subject.logits(inputs, grad=grad)[0, -len(labels) :], labels)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights in memory that ask for a gradient, by name; tied ones once.

    Of an offloaded weight a copy is used in each forward, and no gradient gets back to it.
    """
    return {
        name: weight
        for name, weight in model.named_parameters()
        if weight.requires_grad and not weight.is_meta
    }


def gradients(subject: Subject) -> tuple[torch.Tensor, dict[str, torch.Tensor | None]]:
    """The loss, and its gradient at each trainable weight: None where none came.

    No weight keeps a `.grad`. Raises RuntimeError where the loss has no gradient at all.
    """
    weights = trainable(subject.model)
    loss = training_loss(subject, grad=True)
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    return loss.detach(), dict(zip(weights, found, strict=True))


def modules_that_ran(subject: Subject) -> frozenset[str]:
    """Paths of the modules that take part in the lesson."""
    trace = trace_forward(subject.model, lambda: training_loss(subject))
    return frozenset(call.path for call in trace.calls)


def loss_beside(subject: Subject, shift: Mapping[str, torch.Tensor], step: float) -> float:
    """The loss with `step` times a shift added to some weights, which are not written to."""
    inputs, labels = lesson(subject)
    weights = dict(subject.model.named_parameters())
    moved = {name: weights[name] + step * change for name, change in shift.items()}
    arguments: dict[str, Any] = subject.arguments(inputs) | {"use_cache": False}
    with torch.no_grad():
        logits = functional_call(subject.model, moved, kwargs=arguments).logits
    return float(cross_entropy(logits[0, -len(labels) :].float().cpu(), labels))


@contextmanager
def entries(modules: Sequence[nn.Module]) -> Iterator[list[int]]:
    """Collect the indices of `modules` in the order in which they are entered.

    A recomputation stops as soon as it has what it needs, so that some are never left.
    """
    order: list[int] = []
    with ExitStack() as undo:
        for index, module in enumerate(modules):
            undo.callback(module.register_forward_pre_hook(_note(order, index)).remove)
        yield order


def _note(order: list[int], index: int) -> Callable[[nn.Module, Any], None]:
    return lambda _module, _args: order.append(index)


@contextmanager
def checkpointing(model: Any, *, enabled: bool = True) -> Iterator[None]:
    """Train the parts that can be checkpointed, from one seed, and checkpoint them if `enabled`.

    Dropout modules stay off; what the parts drop themselves is drawn alike with and without.
    """
    parts = [part for part in model.modules() if hasattr(part, "gradient_checkpointing")]
    former = [part.training for part in parts]
    if enabled:
        model.activation_checkpointing_enable()
    try:
        for part in parts:
            part.training = True
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(0)
            yield
    finally:
        for part, training in zip(parts, former, strict=True):
            part.training = training
        if enabled:
            model.activation_checkpointing_disable()
            # transformers 5.23 leaves a hook on the embedding.
            model.disable_input_require_grads()
