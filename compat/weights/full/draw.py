"""The random values of one weight, as the model's own class draws them, and of no other."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

STANDARD_DEVIATION = 0.02
"""Of matrices that their class starts as zeros, where its config names none for the others."""


class NotDrawnError(ValueError):
    """A weight that the model's class gives no values, and whose constructor is not known to."""


def draw(model: PreTrainedModel, name: str, small: nn.Module) -> Tensor:
    """The values of the weight called `name`; the model stays on the `meta` device.

    `small` is a model of the same class with values, of any size: what a class leaves as the
    constructor of a part made it, such as the constants of an activation, is taken from there.
    Raises NotDrawnError where it is not there either.

    The same name gives the same values in any order and in any process. What a class does to a
    weight when it initialises the modules around it, such as scaling a projection by the model's
    depth, is done too: those modules see all their other weights on `meta`.
    """
    path, _, key = name.rpartition(".")
    owner = model.get_submodule(path)
    held = owner._parameters if key in owner._parameters else owner._buffers
    outline = held[key]
    assert outline is not None
    values: Tensor = torch.full(outline.shape, torch.nan, dtype=outline.dtype)
    held[key] = _like(outline, values)
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())), torch.no_grad():
            torch.manual_seed(zlib.crc32(name.encode()))
            for initialiser, module in _initialised_by(model, path):
                initialiser._init_weights(module)
            if values.isnan().any():
                values.copy_(_constructed(small, type(owner), key, outline.shape, name))
            if "bias" not in key and isinstance(outline, nn.Parameter):
                _wake(values, model.config)
    finally:
        held[key] = outline
    return values


def _constructed(
    small: nn.Module, owner: type[nn.Module], key: str, shape: torch.Size, name: str
) -> Tensor:
    """What the constructor of a module gives its weight `key`."""
    for module in small.modules():
        found = module._parameters.get(key, module._buffers.get(key))
        if type(module) is owner and found is not None and found.shape == shape:
            return found.detach()
    raise NotDrawnError(f"{owner.__name__} says nothing of the values of {name}")


def _like(outline: Tensor, values: Tensor) -> Tensor:
    if isinstance(outline, nn.Parameter):
        return nn.Parameter(values, requires_grad=False)
    return values


def _initialised_by(
    model: PreTrainedModel, path: str
) -> Iterator[tuple[PreTrainedModel, nn.Module]]:
    """The modules from `path` up to the model, each with the model whose class initialises it."""
    module: nn.Module = model
    initialiser = model
    way: list[tuple[PreTrainedModel, nn.Module]] = [(initialiser, module)]
    for part in filter(None, path.split(".")):
        module = module.get_submodule(part)
        if isinstance(module, PreTrainedModel):
            initialiser = module
        way.append((initialiser, module))
    yield from reversed(way)


def _wake(values: Tensor, config: Any) -> None:
    """Draw a matrix that its class starts as zeros: it would hide everything that is behind it."""
    if values.dim() > 1 and not values.any():
        text = config.get_text_config(decoder=True)
        values.normal_(std=getattr(text, "initializer_range", None) or STANDARD_DEVIATION)
