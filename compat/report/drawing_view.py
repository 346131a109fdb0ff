"""What is drawn of a model's anatomy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PartView:
    """A module of a block, or beside the blocks."""

    path: str
    module: str
    role: str = ""
    note: str = ""


@dataclass(frozen=True)
class KindView:
    """Blocks that are built alike."""

    count: int
    module: str
    layer_type: str
    where: str
    """Which of the blocks these are: `0-4, 6-10`; empty where all are."""
    parts: tuple[PartView, ...]


@dataclass(frozen=True)
class StackView:
    """A list of blocks."""

    role: str
    path: str
    count: int
    kinds: tuple[KindView, ...]


@dataclass(frozen=True)
class HookView:
    """A line of code that catches something in a forward."""

    what: str
    code: str
    source: str
    """`registry` or `record`: where its path is from."""


@dataclass(frozen=True)
class DrawingView:
    """The drawing, from the embedding to the head."""

    embedding: PartView | None
    stacks: tuple[StackView, ...]
    norm: PartView | None
    head: PartView | None
    hooks: tuple[HookView, ...]
    built: str
    """Execution of the record that the parts are from; empty where only the registry speaks."""
    traced: str
    """Execution of the record that roles and the last norm are from."""
