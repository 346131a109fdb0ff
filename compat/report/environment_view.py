"""Environments and where they disagree, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from compat.report.count_view import TallyView


@dataclass(frozen=True)
class EnvironmentView:
    """An environment that results come from."""

    id: str
    line: str
    packages: tuple[tuple[str, str], ...]
    cases: int
    facts: tuple[tuple[str, str], ...]
    """All that tells it from another, packages included."""
    stands_for: str = ""
    """The id of the environment that it is one with: the same but for cores and memory."""
    letter: str = ""
    """What cells call it; empty where there is no other."""
    label: str = ""
    """By what it differs from the others, in a few words."""
    tallies: tuple[TallyView, ...] = ()
    """What the targets that were tried in it came to."""


@dataclass(frozen=True)
class DisagreementView:
    """A check that came to different ends in different environments, on some targets."""

    check: str
    ends: tuple[tuple[str, str, str, str], ...]
    """Environment id and letter, outcome in words, and its glyph."""
    targets: tuple[tuple[str, str], ...]
    """Id, and the anchor of what is known of it."""
