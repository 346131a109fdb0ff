"""Appends records to a file of this process, flushed line by line: a kill costs one case."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from compat.results.record import Record, dump_record
from compat.results.redact import Redactor


def new_run_id(now: datetime | None = None) -> str:
    """An id that sorts by time and is unique: `20261120T093000Z-1f2e3d`."""
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{secrets.token_hex(3)}"


def timestamp(seconds: float | None = None) -> str:
    """A moment (seconds since the epoch; None: now) as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds")


def seconds_since(moment: str) -> float:
    """Seconds from a moment written by `timestamp` until now."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


class RecordWriter:
    """Writes `FOLDER/RUN/WORKER.jsonl`, which comes to be with its first line."""

    def __init__(self, folder: Path, run: str, worker: str, redactor: Redactor) -> None:
        self.path = folder / run / f"{worker}.jsonl"
        self.run = run
        self.worker = worker
        self._redactor = redactor
        self._file: TextIO | None = None

    @property
    def written(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    def write(self, record: Record) -> None:
        """Append a record; it is in the hands of the operating system on return."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(self._redactor.line(dump_record(record)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; a later record opens none."""
        if self._file is not None:
            self._file.close()
