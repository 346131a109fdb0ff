"""What went wrong and what did not run, as the report shows it."""

from __future__ import annotations

from dataclasses import dataclass

from compat.results.verdict import Word
from compat.targets import Weights


@dataclass(frozen=True)
class SkipView:
    """All cases that were skipped for one reason."""

    code: str
    reason_class: str
    action: str
    cases: int
    targets: int
    texts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class PlaceView:
    """Where something was found: a model, and in which modes."""

    model: str
    row: str
    """The anchor of the model."""
    anchor: str
    """The anchor of the first target concerned."""
    modes: tuple[str, ...]


@dataclass(frozen=True)
class FailureView:
    """One failure, known or not, over all models that show it."""

    word: str
    mark: str
    checks: tuple[str, ...]
    places: tuple[PlaceView, ...]
    cases: int
    evidence: str
    weights: Weights
    execution: str
    """Of the first record that shows it."""
    environments: tuple[str, ...] = ()
    """In which the cells speak that show it."""
    blame: str = ""
    reason: str = ""
    issue: str = ""
    line: int = 0


@dataclass(frozen=True)
class UntestedView:
    """Models that nothing is known of here, for one reason."""

    word: Word
    mark: str
    why: str
    models: tuple[tuple[str, str], ...]
    """Name and anchor."""
