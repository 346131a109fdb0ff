"""How good a model's English is, roughly: three figures and a grade, without torch.

The grade tells a model that writes from one that babbles or repeats itself. It does not rank
models that write: for that there are benchmarks, and they take hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

PROMPTS: tuple[str, ...] = (
    "The adaptive transformer architecture enables AI systems to",
    "On the way home from the station she stopped at the bakery because",
    "Bridges are built with gaps between their parts so that",
)
"""What is written on from; of the first the sample is kept, the same for every model."""

PASSAGES: tuple[str, ...] = (
    "The library opens at nine in the morning and closes at six in the evening. On Saturdays it "
    "closes two hours earlier. Visitors may take home up to ten books at a time and keep them for "
    "four weeks. Anyone who needs a book for longer can ask for more time, unless another reader "
    "is waiting for it.",
    "Water boils at a lower temperature in the mountains than at the coast, because the air "
    "presses less on its surface. Pasta therefore takes longer to cook in a hut on a pass than in "
    "a kitchen by the sea. A lid that closes tightly helps: the steam cannot escape, the pressure "
    "in the pot rises, and so does the temperature.",
    "My grandfather repaired clocks in a small shop behind the market. He never threw a screw "
    "away, and he knew which clock each of them had come from. When I was six he let me wind the "
    "large one in the window, and I was so proud that I told everybody at school about it.",
)
"""Plain prose that was written for this file: no model has been trained on it by heart."""

REPEATED = 4
"""Length of the repeated sequences that are counted, in tokens."""


class Grade(StrEnum):
    """What the figures come to."""

    GOOD = "Good"
    FAIR = "Fair"
    POOR = "Poor"


@dataclass(frozen=True)
class Bounds:
    """The worst value that is still good, and the worst that is still fair."""

    good: float
    fair: float

    def grade(self, value: float) -> Grade:
        """The grade of one figure; what is no number is poor."""
        direction = 1 if self.good <= self.fair else -1
        if direction * value <= direction * self.good:
            return Grade.GOOD
        return Grade.FAIR if direction * value <= direction * self.fair else Grade.POOR


BITS_PER_BYTE = Bounds(good=1.5, fair=2.3)
"""Shannon, "Prediction and Entropy of Printed English" (1951): a reader who knows the statistics
of up to eight letters is left with 2.3 bits a letter, one who knows the language and a hundred
letters before with at most 1.3. The passages are short, and their first words are read without
anything before them: hence 1.5."""

REPETITION = Bounds(good=0.1, fair=0.5)
"""A choice: the passages above repeat nothing, as words or as 32 bytes; a text of which half has
been said before is read by nobody."""

DISTINCT_PAIRS = Bounds(good=0.65, fair=0.4)
"""A choice: the beginnings of the passages above, 32 tokens each, have 0.97 where a token is a word
and 0.69 where it is a byte."""


@dataclass(frozen=True)
class Quality:
    """The figures of one model."""

    perplexity: float
    """Of a token of the passages: what papers quote, and different for every tokenizer."""
    bits_per_byte: float
    """The same, made comparable between tokenizers."""
    repetition: float
    """Share of sequences of four tokens that the same continuation holds already."""
    distinct_1: float
    """Share of different tokens in all continuations."""
    distinct_2: float
    """Share of different pairs of tokens."""

    @classmethod
    def of(cls, likelihood: Likelihood, continuations: Sequence[Sequence[int]]) -> Quality:
        """The figures, from the likelihood of the passages and what the prompts came to."""
        return cls(
            perplexity=likelihood.perplexity,
            bits_per_byte=likelihood.bits_per_byte,
            repetition=repetition(continuations),
            distinct_1=distinct(continuations, 1),
            distinct_2=distinct(continuations, 2),
        )

    @property
    def grade(self) -> Grade:
        """The worst of the grades of bits, repetition and distinct pairs."""
        grades = (
            BITS_PER_BYTE.grade(self.bits_per_byte),
            REPETITION.grade(self.repetition),
            DISTINCT_PAIRS.grade(self.distinct_2),
        )
        return max(grades, key=list(Grade).index)


@dataclass(frozen=True)
class Likelihood:
    """How well a model predicts a text."""

    nats: float
    """Negative log-likelihood of the tokens that were predicted."""
    tokens: int
    bytes: int
    """Of the text that those tokens stand for, in UTF-8."""

    def __add__(self, other: Likelihood) -> Likelihood:
        """Of two texts together."""
        return Likelihood(
            self.nats + other.nats, self.tokens + other.tokens, self.bytes + other.bytes
        )

    @property
    def perplexity(self) -> float:
        """Of a token; infinite where it exceeds what a float holds."""
        try:
            return math.exp(self.nats / self.tokens)
        except OverflowError:
            return math.inf

    @property
    def bits_per_byte(self) -> float:
        """Bits that a byte of the text costs."""
        return self.nats / math.log(2) / self.bytes


def repetition(continuations: Sequence[Sequence[int]]) -> float:
    """Share of sequences of four tokens that occurred before in the same continuation, 0 to 1.

    A continuation that is too short to repeat one counts for nothing.
    """
    counted = [list(_sequences(tokens, REPEATED)) for tokens in continuations]
    total = sum(len(sequences) for sequences in counted)
    different = sum(len(set(sequences)) for sequences in counted)
    return 1 - different / total if total else 0.0


def distinct(continuations: Sequence[Sequence[int]], length: int) -> float:
    """Share of different sequences of `length` tokens among those of all continuations, 0 to 1."""
    every = [each for tokens in continuations for each in _sequences(tokens, length)]
    return len(set(every)) / len(every) if every else 1.0


def _sequences(tokens: Sequence[int], length: int) -> Iterator[tuple[int, ...]]:
    return (tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1))
