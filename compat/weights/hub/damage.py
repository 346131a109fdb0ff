"""Telling a cache that is damaged from a repository that is."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.weights.headers import NoHeaderError, read_header
from compat.weights.hub.snapshot import Snapshot

SHA256 = re.compile(r"[0-9a-f]{64}")


def refuse_damaged(snapshot: Snapshot) -> None:
    """Raise CannotRun where a weights file in the cache is not the one that the hub has.

    Only a file without a readable header is hashed, for that takes a second a gigabyte. One that is
    what the hub has is the model's own fault, and fails where it is loaded.
    """
    for path in sorted(snapshot.folder.glob("*.safetensors")):
        if not _has_header(path) and _is_another(path):
            raise CannotRun(
                Reason(
                    ReasonCode.INCOMPLETE_DOWNLOAD,
                    f"{path.name} in the cache is damaged: it is not the file that the hub has",
                    "remove the model with `hf cache rm`, then add --compat-download",
                )
            )


def _has_header(path: Path) -> bool:
    try:
        read_header(path)
    except NoHeaderError:
        return False
    return True


def _is_another(path: Path) -> bool:
    """Whether the content is not what the blob is named after; unknown counts as the same."""
    name = path.resolve().name
    if not SHA256.fullmatch(name):
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != name
