"""What is known of a full-size random checkpoint, written beside its weights. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from compat.results.atomic import replace_text

MANIFEST = "compat_full.json"


@dataclass(frozen=True)
class FullManifest:
    """All of `compat_full.json`: who wants to go on with a folder has to mean the same."""

    model: str
    recipe: str
    """Hash of the config, of the libraries that build and draw it, and of the size of a file."""
    parameters: int
    size: int
    """Bytes of all tensors."""
    complete: bool = False

    def write(self, folder: Path) -> None:
        """Write it into `folder`."""
        replace_text(folder / MANIFEST, json.dumps(asdict(self), indent=1) + "\n")

    def finished(self) -> FullManifest:
        """The same, of a folder that lacks nothing."""
        return replace(self, complete=True)

    @classmethod
    def read(cls, folder: Path) -> FullManifest | None:
        """The manifest in `folder`; None where it is missing or not readable as one."""
        try:
            return cls(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def is_unfinished(folder: Path) -> bool:
    """Whether a full-size checkpoint was begun in `folder` and not ended."""
    manifest = FullManifest.read(folder)
    return manifest is not None and not manifest.complete
