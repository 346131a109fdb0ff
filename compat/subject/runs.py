"""Runs that checks share: the subject's own, and the one that its mode is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class StreamRun:
    """One forward over the whole stream, computed once a subject. Everything is on the CPU."""

    logits: torch.Tensor
    """(length, vocabulary), float32."""
    blocks: tuple[torch.Tensor, ...]
    """The output of each decoder block, (length, width), float32."""
    hidden_states: tuple[torch.Tensor, ...] | None
    """What `output_hidden_states` reports, (length, width) each, in the model's dtype."""


@dataclass(frozen=True)
class Reference:
    """The run that a mode is compared with, stored so that every target and worker finds it.

    For offloaded weights it is the same ones in memory; else for twins the same twin in float32 on
    the CPU, and for other weights bfloat16 unquantized on the same device.
    """

    name: str
    """Such as "fp32 on cpu": shown beside every comparison."""
    logits: torch.Tensor
    """(length, vocabulary), float32."""
    blocks: tuple[torch.Tensor, ...]
    """The output of each decoder block, (length, width), float32."""
    loads: int = 0
    """Checkpoints that were loaded to have it: 1 where it was computed now, else 0."""


def cached_keys(output: Any) -> torch.Tensor | None:
    """The keys in the cache of a forward's output, None where it holds none.

    (batch, key-value heads, length, width), of the first layer that keeps any.
    """
    cache = getattr(output, "past_key_values", None)
    cache = getattr(cache, "self_attention_cache", cache)
    for layer in getattr(cache, "layers", ()):
        keys = getattr(layer, "keys", None)
        if isinstance(keys, torch.Tensor) and keys.dim() == 4:
            return keys
    return None
