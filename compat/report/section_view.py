"""What the sections beside the matrix show."""

from __future__ import annotations

from dataclasses import dataclass

from compat.targets import Weights


@dataclass(frozen=True)
class VoiceView:
    """What some models of a family wrote, word for word the same."""

    text: str
    models: tuple[tuple[str, str], ...]
    """Name and anchor of each."""
    modes: tuple[str, ...]
    execution: str
    """Of the first record that has it."""


@dataclass(frozen=True)
class FamilyVoicesView:
    """What the models of a family wrote, the most common first."""

    family: str
    voices: tuple[VoiceView, ...]


@dataclass(frozen=True)
class PromptView:
    """One prompt, and what every model wrote on from it."""

    prompt: str
    check: str
    weights: Weights
    families: tuple[FamilyVoicesView, ...]


@dataclass(frozen=True)
class QualityView:
    """The quality of what a target writes, in figures."""

    model: str
    anchor: str
    mode: str
    weights: Weights
    grade: str
    figures: tuple[tuple[str, str], ...]
    execution: str


@dataclass(frozen=True)
class DifferenceView:
    """A fact of every environment."""

    name: str
    values: tuple[str, ...]
    differs: bool


@dataclass(frozen=True)
class SickModelView:
    """A model that was damaged, and the check that is there to catch it."""

    check: str
    fault: str
    model: str
    caught: bool
    by_hand: bool
    """Whether a check as people write them by hand would have caught it, too."""
    says: str
    """What the check said of it."""


@dataclass(frozen=True)
class SickView:
    """How the checks themselves were tested."""

    models: tuple[SickModelView, ...]

    @property
    def sentence(self) -> str:
        """What came of it."""
        caught = sum(model.caught for model in self.models)
        by_hand = sum(model.by_hand for model in self.models)
        return (
            f"{caught} of {len(self.models)} faults are caught; checks as people write them by "
            "hand (it loads, enumerates its blocks, captures without NaN, generates) "
            f"catch {by_hand}."
        )
