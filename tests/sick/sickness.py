"""`@sick`: declares a damage that one named check has to catch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from compat.targets import Mode, Weights

Damage = Callable[[Any], None]
"""Damages a freshly opened subject in place."""

GPT2 = "gpt2"
LLAMA = "llama-3.2-1b"
LLAMA_CHAT = "llama-3.2-1b-instruct"
JAMBA = "ai21-jamba-1.5-mini"
T5 = "t5-small"
SLIDING = "gemma-3-270m"
GPT_OSS = "gpt-oss-20b"
GEMMA_WITH_VISION = "gemma-3-4b-pt"
LLAMA_TO_MISTRAL = "llama-3.2-1b-instruct->mistral-7b-instruct-v0.3"


@dataclass(frozen=True, order=True)
class Patient:
    """A healthy subject to be damaged: a model of the registry, how it is loaded and from what."""

    model: str
    mode: Mode = Mode.FP32
    weights: Weights = Weights.TWIN

    def __str__(self) -> str:
        return f"{self.model}-{self.weights}-{self.mode}"


@dataclass(frozen=True)
class Sickness:
    """A damage, and the check that catches it."""

    check: str
    name: str
    patient: Patient
    damage: Damage
    wrong: str
    """What is wrong with the model, in one sentence: the damage's docstring."""
    says: str
    """Regular expression for what the check says: it tells which of its assertions failed."""

    @property
    def id(self) -> str:
        """What pytest shows between brackets."""
        return f"{self.check}-{self.name}-{self.patient.model}-{self.patient.mode}"


class Corpus:
    """Every sickness, in order of declaration."""

    def __init__(self) -> None:
        self._sicknesses: dict[str, Sickness] = {}

    def add(self, sickness: Sickness) -> None:
        """Add a sickness. Raises ValueError where its id is taken."""
        if sickness.id in self._sicknesses:
            raise ValueError(f"the sickness {sickness.id} is declared twice")
        self._sicknesses[sickness.id] = sickness

    def __iter__(self) -> Iterator[Sickness]:
        return iter(self._sicknesses.values())

    def __len__(self) -> int:
        return len(self._sicknesses)


CORPUS = Corpus()
"""What `@sick` adds to: filled by imports, never changed by a session."""


def sick(
    check: str,
    *,
    says: str,
    model: str = LLAMA,
    mode: Mode = Mode.FP32,
    weights: Weights = Weights.TWIN,
) -> Callable[[Damage], Damage]:
    """Declare that `check` catches the decorated damage, and by which of its assertions.

    One damage may be declared for several checks. Raises ValueError without a docstring.
    """

    def declare(damage: Damage) -> Damage:
        wrong = " ".join((damage.__doc__ or "").split())
        if not wrong:
            raise ValueError(f"{damage.__name__} does not say what is wrong with the model")
        patient = Patient(model, mode, weights)
        CORPUS.add(Sickness(check, damage.__name__, patient, damage, wrong, says))
        return damage

    return declare
