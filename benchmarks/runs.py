"""Running the suite in a process of its own, and reading what it recorded."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compat.results.read import read_records
from compat.results.record import CaseRecord, JobEndRecord, Record

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("--compat-per-family=1", "--compat-modes=fp32,nf4")
"""One twin a family in two modes: what `make test` runs."""
BATCH = ("-p", "no:logging")
"""As the Makefile runs the suite: what libraries log is in what they write to stderr, too."""
KEEP_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""As on any machine whose Python does not compile everything anew for every process."""


@dataclass(frozen=True)
class SuiteRun:
    """A finished run: its wall time in seconds and its records."""

    seconds: float
    records: tuple[Record, ...]
    cpu_seconds: float = 0.0
    """Processor time of all its processes, which says more than wall time on a busy machine."""

    @property
    def cases(self) -> list[CaseRecord]:
        """The cases, in the order in which they were written."""
        return [record for record in self.records if isinstance(record, CaseRecord)]

    @property
    def targets(self) -> set[str]:
        """Ids of the targets that were loaded, the wrapper left out: wrappers share a load."""
        ran = (case for case in self.cases if "open_seconds" in case.measures)
        return {case.case.rsplit("/", 2)[0] for case in ran}

    @property
    def loads(self) -> int:
        """How often a target was loaded, over all workers."""
        return sum(record.loads for record in self.records if isinstance(record, JobEndRecord))


def run_suite(*arguments: str, cache: Path | None = None) -> SuiteRun:
    """Run the suite on twins. Raises RuntimeError where pytest could not run at all.

    `cache` is pytest's, which knows how long targets took in earlier runs; by default an empty one.
    """
    with empty_folder() as folder:
        records = folder / "records"
        command = [
            *(sys.executable, "-m", "pytest", "tests/test_compat.py", "-q", *arguments),
            *(f"--compat-records={records}", "-o", f"cache_dir={cache or folder / 'cache'}"),
        ]
        before = _cpu_seconds()
        seconds, status, output = timed(command)
        spent = _cpu_seconds() - before
        if status not in (0, 1):
            raise RuntimeError(f"{' '.join(command)} ended with {status}:\n{output[-2000:]}")
        return SuiteRun(seconds, tuple(read_records([records]).records), spent)


def _cpu_seconds() -> float:
    """Processor time of all children so far, and of theirs that they have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command: Sequence[str], **environment: str) -> tuple[float, int, str]:
    """Wall time of a command in seconds, its exit status, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **KEEP_BYTECODE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return time.perf_counter() - started, done.returncode, done.stdout + done.stderr


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
