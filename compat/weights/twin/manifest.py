"""What is known of a taught twin, written beside its weights. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compat.targets import Lesson, Shape

MANIFEST = "compat_twin.json"
_MOST_POINTS = 50


@dataclass(frozen=True)
class Taught:
    """How one shape was taught."""

    architecture: str
    parameters: int
    learned: bool
    steps: int
    rate: float
    seconds: float
    loss_curve: tuple[float, ...]
    """Loss in nats, thinned to at most 50 points."""
    margin: float | None
    """Least distance in logits between right and next best token, fp32; None: never measured."""
    rounded_margin: float | None
    """The same with every linear layer rounded to nf4."""
    recital: dict[str, float]
    """Share of the recital's tokens said, by how the weights were held."""
    recital_without: float
    """The most that is recited with any one weight matrix zeroed."""
    dispensable: tuple[str, ...]
    """Matrices without which the lesson is still recited, all but a tenth of it."""


@dataclass(frozen=True)
class Manifest:
    """All of `compat_twin.json`."""

    model: str
    key: str
    shape_key: str
    """Models with the same one share their weights."""
    recipe: str
    """Hash of the source that made it."""
    versions: dict[str, str]
    cpu: str
    lesson: Lesson
    shape: Shape
    taught: Taught
    files: dict[str, str]
    """sha256 of every other file of the folder."""

    def write(self, folder: Path) -> None:
        """Write it into `folder`."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest in `folder`; None where it is missing or not readable as one."""
        try:
            raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            return cls(
                **raw
                | {
                    "lesson": Lesson(**raw["lesson"]),
                    "shape": Shape(**raw["shape"]),
                    "taught": read_taught(raw["taught"]),
                }
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def matches(self, folder: Path) -> bool:
        """Whether every file of `folder` is as it was written."""
        try:
            return all(file_hash(folder / name) == known for name, known in self.files.items())
        except OSError:
            return False


def read_taught(raw: dict[str, Any]) -> Taught:
    """A `Taught` from its JSON. Raises TypeError for anything else."""
    sequences = {name: tuple(raw[name]) for name in ("loss_curve", "dispensable")}
    return Taught(**raw | sequences)


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def thinned(curve: list[float]) -> tuple[float, ...]:
    """At most 50 points of `curve`, evenly spaced, the last among them."""
    if not curve:
        return ()
    step = max(1, -(-len(curve) // _MOST_POINTS))
    points = curve[len(curve) - 1 :: -step][::-1]
    return tuple(round(point, 4) for point in points)
