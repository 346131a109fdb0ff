"""Runs kept on disk for other modes, workers and runs to be compared with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from torch import Tensor

    Tensors = dict[str, Tensor]

GIGABYTE = 10**9
LARGEST = 4 * GIGABYTE
"""Bytes of references that are kept; the least recently used go first. They are bounded by size
and not by run, because the next night's run is to find them: one of a 70-billion-parameter model
takes 0.1 GB, and computing it again takes loading 140 GB."""

FOLDER = "references"
"""Of the cache that twins are in."""
FINISHED, UNFINISHED, LOCK = ".safetensors", ".unfinished", ".lock"


@dataclass(frozen=True)
class ReferenceStore:
    """A folder of safetensors files, one a key. Imports torch only to read and write them."""

    folder: Path
    largest: int = LARGEST

    def read(self, key: str) -> Tensors | None:
        """What is stored under a key; None where nothing is, or what is there can't be read."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self._path(key)
        try:
            tensors: Tensors = load_file(path)
            os.utime(path)  # used last now
        except (OSError, SafetensorError):
            return None
        return tensors

    def read_or_make(self, key: str, make: Callable[[], Tensors]) -> tuple[Tensors, bool]:
        """What is stored under a key, and whether it was made now.

        One process among all makes it and the others wait. A maker that dies leaves the lock free
        and nothing under the key. Raises what `make` raises, and OSError where it can't be written.
        """
        found = self.read(key)
        if found is not None:
            return found, False
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path(key, LOCK)):
            found = self.read(key)
            if found is not None:
                return found, False
            made = make()
            self._write(key, made)
        self._make_room()
        return made, True

    def size(self) -> int:
        """Bytes of everything stored."""
        return sum(size for _, size, _ in self._files())

    def __len__(self) -> int:
        """How many references are stored."""
        return sum(path.suffix == FINISHED for path, _, _ in self._files())

    def _path(self, key: str, suffix: str = FINISHED) -> Path:
        return self.folder / f"{key}{suffix}"

    def _write(self, key: str, tensors: Tensors) -> None:
        """Under the lock: what a killed writer has left has the same name and is written over."""
        from safetensors.torch import save_file

        unfinished = self._path(key, UNFINISHED)
        try:
            save_file({name: t.contiguous().clone() for name, t in tensors.items()}, unfinished)
            unfinished.replace(self._path(key))
        except BaseException:  # Ctrl-C too: tidied up, and raised on
            unfinished.unlink(missing_ok=True)
            raise

    def _make_room(self) -> None:
        """Remove what was used least recently until the rest is within the bound."""
        excess = self.size() - self.largest
        for path, size, _ in sorted(self._files(), key=lambda file: file[2])[:-1]:
            if excess <= 0:
                return
            # Another process may have removed it, or (on Windows) be reading it.
            with suppress(OSError):
                path.unlink()
                path.with_suffix(LOCK).unlink(missing_ok=True)
            excess -= size

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        """Path, bytes and time of the last use of every file but the locks."""
        for path in self.folder.glob("*"):
            if path.suffix in (FINISHED, UNFINISHED):
                with suppress(FileNotFoundError):  # removed by another process
                    found = path.stat()
                    yield path, found.st_size, found.st_mtime
