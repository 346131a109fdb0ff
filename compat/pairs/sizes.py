"""How many parameters an adapter has, from widths alone: no torch, so that fit can be judged."""

from __future__ import annotations

LATENTS = 8
"""Vectors that a resampler reads any source into, unless it is told otherwise."""
DEPTH = 2
"""Blocks of a resampler."""
EXPANSION = 2
"""How much wider the feed-forward part of a resampler's block is than its latents."""


def linear_adapter_parameters(source: int, target: int) -> int:
    """Parameters of a `LinearAdapter` between these widths."""
    return _linear(source, target) + _matched(target)


def resampler_parameters(
    source: int, target: int, *, latents: int = LATENTS, depth: int = DEPTH
) -> int:
    """Parameters of a `PerceiverResampler` between these widths."""
    attention = 4 * _linear(target, target)
    feed_forward = _linear(target, EXPANSION * target) + _linear(EXPANSION * target, target)
    blocks = depth * (attention + feed_forward)
    return latents * target + _linear(source, target) + blocks + _matched(target)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _matched(width: int) -> int:
    """Scale and shift of the statistics that the output is given."""
    return 2 * width
