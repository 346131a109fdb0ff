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
    sample: str
    """What it wrote, its prompt included: untrusted."""
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
    by_hand: bool | None
    """Whether a check as people write them by hand would have caught it, too; None where such a
    check has nothing to try."""
    says: str
    """What the check said of it."""
    spared: int
    """Checks that had to stay green on the same model, and did."""
    alarms: str
    """Checks that had to, and did not."""


@dataclass(frozen=True)
class SickView:
    """How the checks themselves were tested."""

    models: tuple[SickModelView, ...]
    """Empty where no table lies beside the report."""
    tried: str = ""
    """When, and with which versions."""

    @property
    def sentence(self) -> str:
        """What came of it."""
        if not self.models:
            return (
                "No table of them lies beside this report: make faults, in the suite's repository, "
                "tries every fault and writes it."
            )
        caught = sum(model.caught for model in self.models)
        # One damaged model may be shown to several checks; by hand it is looked at once.
        looked_at = {(one.fault, one.model): one.by_hand for one in self.models}
        by_hand = [found for found in looked_at.values() if found is not None]
        return (
            f"{caught} of {len(self.models)} faults are caught by their check, and of the other "
            f"checks that had to stay green {sum(one.spared for one in self.models):,} did and "
            f"{sum(bool(one.alarms) for one in self.models)} faults showed where they should not. "
            f"Checks as people write them by hand (it loads, enumerates its blocks, captures "
            f"without NaN, generates) catch {sum(by_hand)} of the {len(by_hand)} models that they "
            f"can try. {self.tried}"
        )
