"""How a model's token embeddings are distributed, for latents to be like them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EmbeddingStatistics:
    """Mean and standard deviation of each feature over token embeddings, (width,), float32."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, embeddings: Tensor) -> EmbeddingStatistics:
        """Those of some embeddings, (tokens, width)."""
        wide = embeddings.detach().float()
        return cls(wide.mean(0), wide.std(0, correction=0))

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.mean)

    @property
    def length(self) -> float:
        """Root mean square length of the embeddings."""
        return float(torch.sqrt((self.mean.square() + self.deviation.square()).sum()))
