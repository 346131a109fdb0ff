"""Adapters between two models: plain torch modules, in float32, made from a seed.

Both put out vectors that are distributed like the target's own token embeddings from the first
step on: normalised, then scaled and shifted by the embeddings' statistics, which are parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from compat.pairs.sizes import DEPTH, EXPANSION, LATENTS
from compat.pairs.statistics import EmbeddingStatistics

MOST_HEADS = 8


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside; every generator, those of GPUs too, then goes on where it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


class MatchedNorm(nn.Module):
    """Normalises each vector, (..., width), and gives its features the embeddings' statistics."""

    def __init__(self, statistics: EmbeddingStatistics) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(statistics.width, elementwise_affine=False)
        self.scale = nn.Parameter(statistics.deviation.clone())
        self.shift = nn.Parameter(statistics.mean.clone())

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        normed: Tensor = self.norm(hidden)
        return normed * self.scale + self.shift


class LinearAdapter(nn.Module):
    """One vector for each of the source's: a linear map, then the target's statistics."""

    def __init__(self, width: int, statistics: EmbeddingStatistics, *, seed: int = 0) -> None:
        """`width` is the source's, `statistics` are of the target's embeddings."""
        super().__init__()
        with _seeded(seed):
            self.projection = nn.Linear(width, statistics.width)
        self.matched = MatchedNorm(statistics)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, source width) -> (batch, length, target width).

        `mask`, (batch, length), changes nothing: what stands at padded positions is for the
        target's own mask to hide.
        """
        mapped: Tensor = self.matched(self.projection(states))
        return mapped


class PerceiverResampler(nn.Module):
    """A fixed number of vectors for a source of any length: learned latents that attend to it."""

    def __init__(
        self,
        width: int,
        statistics: EmbeddingStatistics,
        *,
        latents: int = LATENTS,
        depth: int = DEPTH,
        seed: int = 0,
    ) -> None:
        """`width` is the source's, `statistics` are of the target's embeddings."""
        super().__init__()
        inner = statistics.width
        with _seeded(seed):
            self.latents = nn.Parameter(torch.randn(latents, inner))
            self.projection = nn.Linear(width, inner)
            self.blocks = nn.ModuleList(_ResamplerBlock(inner) for _ in range(depth))
        self.norm = nn.LayerNorm(inner, elementwise_affine=False)
        self.matched = MatchedNorm(statistics)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, source width) -> (batch, latents, target width).

        `mask`, (batch, length), is 0 at positions of padding, which are not attended to.
        """
        read = self.norm(self.projection(states))
        hidden = self.latents.expand(len(states), -1, -1)
        for block in self.blocks:
            hidden = block(hidden, read, mask)
        matched: Tensor = self.matched(hidden)
        return matched


class _ResamplerBlock(nn.Module):
    """Latents attend to the source, then go through a feed-forward part of their own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        heads = math.gcd(width, MOST_HEADS)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width, elementwise_affine=False),
            nn.Linear(width, EXPANSION * width),
            nn.GELU(),
            nn.Linear(EXPANSION * width, width),
        )

    def forward(self, hidden: Tensor, read: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, latents, width) and (batch, length, width) -> (batch, latents, width)."""
        padding = None if mask is None else mask == 0
        attended, _ = self.attention(
            self.norm(hidden), read, read, key_padding_mask=padding, need_weights=False
        )
        hidden = hidden + attended
        fed: Tensor = self.feed_forward(hidden)
        return hidden + fed
