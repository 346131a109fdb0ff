"""Follows the file that another process writes its records to: which case is it in?"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from compat.results.record import CaseRecord, CaseStartRecord, parse_record


class Follower:
    """Reads what is appended to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._open: CaseStartRecord | None = None

    def open_case(self) -> CaseStartRecord | None:
        """The case that is begun and not ended by now, at the stage it has come to."""
        for line in self._new_lines():
            try:
                record = parse_record(line)
            except ValidationError:  # a reader of the whole file says so
                continue
            if isinstance(record, CaseStartRecord):
                self._open = record
            elif isinstance(record, CaseRecord):
                self._open = None
        return self._open

    def _new_lines(self) -> list[bytes]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                content = file.read()
        except FileNotFoundError:  # it comes to be with its first line
            return []
        whole = content.rpartition(b"\n")[0]
        if not whole:
            return []
        self._read += len(whole) + 1
        return whole.split(b"\n")
