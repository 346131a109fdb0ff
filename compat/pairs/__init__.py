"""Latent communication: modules that carry one model's states into another's embeddings."""

from compat.pairs.adapters import LinearAdapter, PerceiverResampler
from compat.pairs.statistics import EmbeddingStatistics
from compat.pairs.training import train

__all__ = ["EmbeddingStatistics", "LinearAdapter", "PerceiverResampler", "train"]
