"""Folders that many processes want and one of them builds."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def built_once(
    folder: Path, build: Callable[[Path], None], *, is_complete: Callable[[Path], bool]
) -> None:
    """See to it that `folder` exists and is complete.

    `build` fills an empty folder beside it, which is then renamed; so `folder` is never seen half
    built. What is there and not complete is built anew. Others wait for the builder.
    """
    if is_complete(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        if is_complete(folder):
            return
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as scratch:
            draft = Path(scratch) / folder.name
            draft.mkdir()
            build(draft)
            if folder.exists():
                shutil.rmtree(folder)
            draft.rename(folder)
