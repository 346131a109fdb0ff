"""What a model is asked to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """A batch of token ids and how attention is computed over it."""

    batch: int = 1
    length: int = 512
    """Tokens of each row; of an encoder-decoder, on both sides."""
    attention: str = "sdpa"
    """transformers' implementation. sdpa gives way to eager where the class has none."""

    def __post_init__(self) -> None:
        if self.batch < 1 or self.length < 1:
            raise ValueError(f"a batch of {self.batch} x {self.length} tokens can't be read")


SUITE = Workload(batch=4, length=128)
"""As much as a check of this suite reads at a time: ten prompts of a dozen tokens, a passage of a
hundred, padded batches of three."""
