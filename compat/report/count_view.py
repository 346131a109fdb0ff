"""Counts, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CountView:
    """How many of something, for the summary."""

    mark: str
    word: str
    count: int


@dataclass(frozen=True)
class TotalView:
    """The cells of a column that rest on one kind of weights, summed up."""

    evidence: str
    works: int
    tested: int
    counts: tuple[CountView, ...]
    """By verdict."""


@dataclass(frozen=True)
class TallyView:
    """Models, targets or cases of one kind of weights, counted."""

    title: str
    evidence: str
    counts: tuple[CountView, ...]
