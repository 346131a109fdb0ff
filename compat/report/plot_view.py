"""A plot, ready to be written down."""

from __future__ import annotations

from dataclasses import dataclass

from compat.targets import Weights


@dataclass(frozen=True)
class DotView:
    """One model in one mode."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True)
class StripView:
    """One mode: a row of the plot."""

    label: str
    y: int
    middle: float
    median: str
    dots: tuple[DotView, ...]


@dataclass(frozen=True)
class PlotView:
    """One measure over all modes, from one kind of weights."""

    title: str
    note: str
    weights: Weights
    height: int
    strips: tuple[StripView, ...]
    ticks: tuple[tuple[float, str], ...]

    @property
    def summary(self) -> str:
        """The plot in words."""
        medians = ", ".join(f"{strip.label} {strip.median}" for strip in self.strips)
        return f"{self.title}, median of {self.weights}: {medians}"
