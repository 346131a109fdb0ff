"""What a model at its full size takes, as plain values: no torch, so that they can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class NotPredictableError(Exception):
    """What a model takes can't be known from its config. Its text says why."""


@dataclass(frozen=True)
class WeightFacts:
    """Bytes of a model's weights in one dtype."""

    by_dtype: Mapping[str, int]
    """Parameters and buffers by the dtype they are in, each storage once."""
    quantized: Mapping[str, Mapping[str, int]]
    """bitsandbytes scheme -> the same after quantization, with codes, scales and code books under
    the scheme's name."""
    buffers: int
    """The part that is buffers: they stay where the model computes when weights are offloaded."""
    trainable: Mapping[str, int]
    """Parameters that a gradient can reach, by scheme; "" is without quantization."""
    largest_matrix: int
    """The largest weight that a scheme quantizes, unpacked."""
    largest_module: int
    """The most that one module holds of its own: what offloading brings in at a time."""
    largest_stack: int
    """The most that one module holds in stacks of matrices: fused experts, which most checkpoints
    store one by one and loading puts together."""
    largest_unsplit: int
    """The largest part that `device_map="auto"` keeps on one device."""


@dataclass(frozen=True)
class RunFacts:
    """Bytes that a run takes besides weights and inputs."""

    peak: int
    cache: int | None = None
    """What its output keeps for the next step; None where it keeps nothing."""
