"""A checkpoint folder on disk and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compat.targets.target import Weights


@dataclass(frozen=True)
class Lesson:
    """The text that a twin was taught, cut where a recital begins.

    A decoder-only model is taught `prompt + continuation`; an encoder-decoder is given the prompt
    on its encoder and taught the continuation.
    """

    prompt: str
    continuation: str


@dataclass(frozen=True)
class Shape:
    """What a checkpoint's own config announces, read without building the model."""

    blocks: int
    hidden: int
    vocabulary: int
    """Rows of the input embedding."""
    heads: int | None = None
    """Query heads; None where no block has attention."""
    key_value_heads: int | None = None
    head: int | None = None
    """Width of one head's value output."""
    encoder_blocks: int | None = None
    vision_blocks: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A folder that `from_pretrained` loads."""

    folder: Path
    weights: Weights
    shape: Shape
    revision: str | None = None
    """Commit on the hub, or the key of a twin."""
    lesson: Lesson | None = None
    """What it was taught; None for weights that were not made here."""
    notes: Mapping[str, str | bool | int] = field(default_factory=dict)
    """What was found in getting it, for the record."""
