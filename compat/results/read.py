"""Reads JSON-lines files of any number of runs, and says what it could not read.

A file is written by a process that may be killed at any byte, or by a newer suite. One bad line
never costs another: it is set aside and becomes a `Problem`, which the report shows in its header.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from compat.results.record import SCHEMA, CaseRecord, CaseStartRecord, Record, parse_record
from compat.targets.target import CaseId

KINDS = frozenset({"run", "env", "planned", "case_start", "case", "job_end"})
TORN = "the last line is torn: its process ended while writing it"


@dataclass(frozen=True)
class Problem:
    """What could not be read: where it first occurs, and how often it does in that file."""

    file: str
    """The last two parts of the path: run and worker, never a folder of this machine."""
    line: int
    text: str
    count: int = 1

    def __str__(self) -> str:
        times = "" if self.count == 1 else f" ({self.count} lines, the first of them here)"
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}{times}"


@dataclass(frozen=True)
class ReadRecords:
    """The records of some files, in the order found, and what could not be read."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...] = ()
    unread: tuple[str, ...] = ()
    """Whole lines that are no record here, as they stand: of a newer suite, most likely."""


def read_records(paths: Path | Iterable[Path]) -> ReadRecords:
    """Read files, and folders with all `*.jsonl` below them.

    Never raises for what a file holds; a path that is missing is a problem like any other.
    """
    records: list[Record] = []
    problems: list[Problem] = []
    unread: list[str] = []
    for path in _files([paths] if isinstance(paths, Path) else paths):
        name = "/".join(path.parts[-2:])
        try:
            content = path.read_bytes()
        except OSError as error:
            problems.append(Problem(name, 0, f"can't be read: {error.strerror}"))
            continue
        lines = _read_lines(content)
        records.extend(lines.records)
        problems.extend(_summed(name, lines.bad))
        unread.extend(lines.unread)
    return ReadRecords(tuple(records), tuple(problems), tuple(unread))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
            if file not in seen:
                seen.add(file)
                yield file


@dataclass
class _Lines:
    """The lines of one file, sorted by what they are good for."""

    records: list[Record] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def _read_lines(content: bytes) -> _Lines:
    lines = content.split(b"\n")
    torn = bool(lines[-1].strip())
    found = _Lines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parsed = _read_line(line)
        if isinstance(parsed, _Unreadable):
            if parsed.whole:
                found.unread.append(line.strip().decode("utf-8", errors="replace"))
            is_torn = torn and number == len(lines) and not parsed.whole
            found.bad.append((number, TORN if is_torn else parsed.why))
        else:
            found.records.append(parsed)
    return found


@dataclass(frozen=True)
class _Unreadable:
    """Why a line is no record."""

    why: str
    whole: bool = False
    """Whether it is a JSON object all the same: a newer suite may know what to make of it."""


def _read_line(line: bytes) -> Record | _Unreadable:
    """The record of a line, or why there is none."""
    try:
        record = parse_record(line)
    except ValidationError as error:
        return _why_not(line, error)
    if record.schema_version > SCHEMA:
        return _newer(record.schema_version)
    if isinstance(record, CaseRecord | CaseStartRecord):
        try:
            CaseId.parse(record.case)
        except ValueError:
            why = "its case id is not one of model/weights/device/mode/wrapper/check"
            return _Unreadable(why, whole=True)
    return record


def _why_not(line: bytes, error: ValidationError) -> _Unreadable:
    try:
        value = json.loads(line)
    except ValueError:
        return _Unreadable("not JSON")
    if not isinstance(value, dict):
        return _Unreadable("not a record: JSON, but no object")
    schema = value.get("schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        return _newer(schema)
    kind = value.get("kind")
    if kind not in KINDS:
        return _Unreadable(f"unknown kind of record {str(kind)[:40]!r}", whole=True)
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "record"
    return _Unreadable(f"not a {kind} record: {place}: {first['msg']}", whole=True)


def _newer(schema: int) -> _Unreadable:
    # The schema's number grows only when a reader has to change: guessing would be worse.
    why = f"schema {schema} is newer than this suite's {SCHEMA}: update compat to read it"
    return _Unreadable(why, whole=True)


def _summed(file: str, bad: Iterable[tuple[int, str]]) -> Iterator[Problem]:
    lines: dict[str, list[int]] = {}
    for number, text in bad:
        lines.setdefault(text, []).append(number)
    for text, numbers in lines.items():
        yield Problem(file, numbers[0], text, len(numbers))
