"""What damages are made of: changes to one part of a loaded model, in place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from compat.interventions import hidden_of, with_hidden

Around = Callable[..., Any]
"""Called with the inner function, then with its arguments."""
Change = Callable[[torch.Tensor], torch.Tensor]


def around_forward(module: nn.Module, around: Around) -> None:
    """Put `around` about a module's forward, which keeps its signature and its hooks."""
    inner = module.forward

    @functools.wraps(inner)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return around(inner, *args, **kwargs)

    module.forward = forward


def around_method(owner: Any, name: str, around: Around) -> None:
    """Put `around` about a method, of one object only.

    Its class is replaced by a subclass, so that special methods are found too.
    """
    inner = getattr(type(owner), name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return around(functools.partial(inner, self), *args, **kwargs)

    owner.__class__ = type(type(owner).__name__, (type(owner),), {name: method})


def change_hidden(module: nn.Module, change: Change) -> None:
    """Change the hidden state that a module puts out."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        return with_hidden(output, change(hidden_of(output)))

    around_forward(module, around)


def change_output(model: nn.Module, change: Callable[[Any], None]) -> None:
    """Let `change` write into the output of a model's forward."""

    def around(inner: Any, *args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        change(output)
        return output

    around_forward(model, around)


def change_logits(model: nn.Module, change: Change) -> None:
    """Change the logits, (batch, length, vocabulary), that a model puts out."""

    def write(output: Any) -> None:
        output.logits = change(output.logits)

    change_output(model, write)


def change_generated(model: Any, change: Callable[[Any], None]) -> None:
    """Let `change` write into what a model's `generate` gives back."""
    inner = model.generate

    def generate(*args: Any, **kwargs: Any) -> Any:
        output = inner(*args, **kwargs)
        change(output)
        return output

    model.generate = generate


def announce(subject: Any, **shape: Any) -> None:
    """Let the checkpoint's config announce other numbers than it was built by."""
    checkpoint = subject.checkpoint
    subject.checkpoint = replace(checkpoint, shape=replace(checkpoint.shape, **shape))


def modules(subject: Any) -> list[nn.Module]:
    """The decoder blocks."""
    return [block.module for block in subject.anatomy.blocks]


def attentions(subject: Any) -> list[nn.Module]:
    """The self-attention of each decoder block that has one."""
    return [block.attention.module for block in subject.anatomy.blocks if block.attention]


def put(model: nn.Module, path: str, part: nn.Module) -> None:
    """Put `part` in the place of the module at `path`."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, part)


def carry_beside(subject: Any, shown: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    """Carry the residual stream beside the blocks, which put out `shown(entering, leaving)`.

    Each block and the final norm read what is carried, whatever a hook has made of the output
    of the block before.
    """
    stream: list[torch.Tensor] = []

    def block(first: bool) -> Around:
        def around(inner: Any, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            entering = hidden if first else stream[-1]
            output = inner(entering, *args, **kwargs)
            stream[:] = [hidden_of(output)]
            return with_hidden(output, shown(entering, stream[-1]))

        return around

    for index, module in enumerate(modules(subject)):
        around_forward(module, block(index == 0))
    around_forward(subject.anatomy.final_norm, lambda inner, _hidden: inner(stream[-1]))
