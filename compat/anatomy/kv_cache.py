"""What a model keeps between decoding steps, read off its own cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

FIELDS: tuple[str, ...] = ("past_key_values", "cache_params", "state")
"""Where transformers' outputs carry a cache: attention's, and those of recurrent models."""


def cache_of(output: Any) -> Any | None:
    """The cache in the output of a forward; None where it has none."""
    for field in FIELDS:
        cache = getattr(output, field, None)
        if cache is not None:
            return cache
    return None


def is_cache(value: Any) -> bool:
    """Whether something is a cache of transformers' own, or of a model's code in its place."""
    return "Cache" in type(value).__name__ and type(value).__module__.startswith(
        ("transformers.", "transformers_modules.")
    )


def cache_bytes(cache: Any) -> int:
    """Bytes of everything that a cache keeps, each storage counted once.

    Keys and values of every layer, of the encoder's output too; the latent of multi-head latent
    attention; convolution and state-space states. A sliding window's layer counts what it keeps,
    and a view of something larger counts all that it keeps alive.
    """
    storages = {
        tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes()
        for tensor in _tensors(cache, set())
    }
    return sum(storages.values())


def _tensors(value: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    """Every tensor that is reachable from a cache object through its own attributes."""
    if isinstance(value, torch.Tensor):
        yield value
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list | tuple):
        inner = list(value)
    elif type(value).__module__.startswith(("transformers.", "transformers_modules.")):
        inner = list(getattr(value, "__dict__", {}).values())
    else:
        inner = []
    for item in inner:
        yield from _tensors(item, seen)
