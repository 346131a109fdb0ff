"""What a run has downloaded: kept in a file, for several processes share one consent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock


@dataclass(frozen=True)
class Entry:
    """One booking. Bytes are booked before a download begins, and files when it is done."""

    model: str
    bytes: int
    folder: str = ""
    """The snapshot, below the cache."""
    files: tuple[str, ...] = ()


class Ledger:
    """Bookings of one run, in a file that comes to be with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def reserve(self, model: str, size: int, limit: float) -> int | None:
        """Book `size` bytes; where they would go over `limit`, return what is left of it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            left = limit - sum(entry.bytes for entry in self)
            if size > left:
                return max(0, int(left))
            self._append(Entry(model, size))
        return None

    def give_back(self, model: str, size: int) -> None:
        """Take back what was reserved and not fetched."""
        self._append(Entry(model, -size))

    def note(self, model: str, folder: Path, files: Iterable[str]) -> None:
        """Write down files that this run has brought into a snapshot, given below the cache."""
        self._append(Entry(model, 0, folder.as_posix(), tuple(sorted(files))))

    def __iter__(self) -> Iterator[Entry]:
        if not self.path.is_file():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            written = json.loads(line)
            yield Entry(**{**written, "files": tuple(written["files"])})

    @property
    def models(self) -> frozenset[str]:
        """The models that this run has fetched files of."""
        return frozenset(entry.model for entry in self if entry.files)

    def fetched(self, model: str) -> dict[Path, set[str]]:
        """Snapshot -> the files in it that this run has fetched for a model."""
        found: dict[Path, set[str]] = {}
        for entry in self:
            if entry.model == model and entry.files:
                found.setdefault(Path(entry.folder), set()).update(entry.files)
        return found

    def _append(self, entry: Entry) -> None:
        # A repository in no registry is described before the run's folder has its first record.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
