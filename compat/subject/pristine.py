"""Whether a check left a trace on the model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import nn


class NotPristineError(AssertionError):
    """A check returned and left something behind on the model."""


@dataclass(frozen=True)
class Snapshot:
    """The state that a check must leave as it found it."""

    hooks: tuple[tuple[str, tuple[int, ...]], ...]
    """(path, ids of its hooks) of every module."""
    versions: tuple[tuple[str, int, int], ...]
    """(name, identity, version counter) of every parameter and buffer that is in memory.

    accelerate puts new meta tensors in the place of offloaded weights at every forward.
    """
    training: frozenset[str]
    gradients: frozenset[str]
    frozen: frozenset[str]

    @classmethod
    def of(cls, model: nn.Module) -> Snapshot:
        """Take the state of a model in one walk over it; costs no tensor operation."""
        hooks: list[tuple[str, tuple[int, ...]]] = []
        versions: list[tuple[str, int, int]] = []
        training, gradients, frozen = set(), set(), set()
        seen: set[int] = set()
        # Every look at an attribute of bitsandbytes' tensors would go through Python.
        with torch._C.DisableTorchFunctionSubclass():
            for path, module in model.named_modules():
                hooks.append((path, _hooks(module)))
                if module.training:
                    training.add(path)
                for key, tensor in chain(module._parameters.items(), module._buffers.items()):
                    if tensor is None or id(tensor) in seen:
                        continue
                    seen.add(id(tensor))
                    name = f"{path}.{key}" if path else key
                    if not tensor.is_meta:
                        versions.append((name, id(tensor), tensor._version))
                    if isinstance(tensor, nn.Parameter):
                        if tensor.grad is not None:
                            gradients.add(name)
                        if not tensor.requires_grad:
                            frozen.add(name)
        return cls(
            tuple(hooks),
            tuple(versions),
            frozenset(training),
            frozenset(gradients),
            frozenset(frozen),
        )

    def require_equal(self, now: Snapshot) -> None:
        """Raise NotPristineError, naming what changed, unless `now` is the same."""
        traces: list[str] = []
        if now.hooks != self.hooks:
            before = dict(self.hooks)
            left = [name or "model" for name, ids in now.hooks if ids != before.get(name, ())]
            traces.append(f"hooks on {_some(left)}")
        if now.versions != self.versions:
            written = sorted({name for name, *_ in set(self.versions) ^ set(now.versions)})
            traces.append(f"tensors written to or replaced: {_some(written)}")
        for title, ours, theirs in (
            ("training mode changed on", self.training, now.training),
            ("gradients on", self.gradients, now.gradients),
            ("requires_grad changed on", self.frozen, now.frozen),
        ):
            if ours != theirs:
                traces.append(f"{title} {_some(sorted(ours ^ theirs))}")
        if traces:
            raise NotPristineError("the check left a trace on the model: " + "; ".join(traces))


def outline(model: nn.Module) -> Snapshot:
    """The state of a model apart from what its tensors hold: a first forward may rearrange them.

    bitsandbytes repacks 4-bit weights then.
    """
    state = Snapshot.of(model)
    return replace(state, versions=tuple((name, 0, 0) for name, *_ in state.versions))


def fingerprint(model: nn.Module) -> str:
    """A hash over the bytes of all parameters and buffers. Offloaded ones have none here."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in _tensors(model):
        digest.update(name.encode())
        if not tensor.is_meta:
            raw = tensor.detach().contiguous().flatten().view(torch.uint8)
            digest.update(raw.cpu().numpy().data)
    return digest.hexdigest()


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    return chain(model.named_parameters(), model.named_buffers())


def _hooks(module: nn.Module) -> tuple[int, ...]:
    """What torch tells a module's hooks by; each hook that is added gets a number of its own."""
    kinds = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    if not any(kinds):
        return ()
    return tuple(
        id_ for hooks in kinds for id_, hook in hooks.items() if not _reports_hidden_states(hook)
    )


def _reports_hidden_states(hook: Callable[..., Any]) -> bool:
    """Whether transformers left it the first time that hidden states or attentions were asked."""
    function = getattr(hook, "func", hook)
    return str(getattr(function, "__module__", "")) == "transformers.utils.output_capturing"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
