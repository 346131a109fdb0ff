"""The suite run over one model in a process of its own, followed by its records as they come."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from compat.cli.diagnosis import Diagnosis, diagnose
from compat.results.read import read_records

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_TO_END = 60
"""How long after Ctrl-C the run has for freeing its model and ending its records."""
RECORDS, OUTPUT = "runs", "pytest.log"
LAST_BYTES = 4096

Watcher = Callable[[Diagnosis, str], None]
"""Told what is known so far, and what the run has said last."""


@dataclass(frozen=True)
class Outcome:
    """How an examination ended."""

    diagnosis: Diagnosis
    status: int
    """Of pytest; negative for the signal that killed it."""
    last_words: str
    """The last line that it has printed."""


@dataclass(frozen=True)
class Examination:
    """A run of the suite, and the folder that all of it is written to."""

    arguments: Sequence[str]
    """Of pytest: which model, how, and what is allowed."""
    folder: Path
    areas: Mapping[str, str]
    """Check -> area, as the catalogue has them."""

    @property
    def output(self) -> Path:
        """What pytest has printed."""
        return self.folder / OUTPUT

    @property
    def records(self) -> Path:
        """The records of this examination, and of no other."""
        return self.folder / RECORDS

    def run(self, watch: Watcher) -> Outcome:
        """Run it to its end, or until Ctrl-C.

        Whatever happens to the process, the diagnosis rests on what it has recorded.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.records.rglob("*.jsonl"):
            old.unlink()
        interrupted = False
        with (
            tempfile.TemporaryDirectory(prefix="compat-doctor-") as scratch,
            self.output.open("wb") as output,
            _process(self._command(scratch), output) as run,
        ):
            try:
                self._follow(run, watch)
            except KeyboardInterrupt:
                interrupted = True
                _interrupt(run)
        known = diagnose(read_records(self.records).records, self.areas, interrupted=interrupted)
        return Outcome(known, run.returncode, self.last_words())

    def last_words(self) -> str:
        """The last line that pytest has printed."""
        try:
            with self.output.open("rb") as file:
                file.seek(max(0, self.output.stat().st_size - LAST_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _command(self, scratch: str) -> list[str]:
        # An ini file of its own: the settings of the project that somebody happens to be in, its
        # coverage or its plugins' options, are none of the doctor's.
        ini = Path(scratch) / "pytest.ini"
        ini.write_text("[pytest]\n", encoding="utf-8")
        own = ["-c", str(ini), "--rootdir", str(Path.cwd()), "--noconftest"]
        own += ["-p", "no:cacheprovider", "--tb=short", "--color=no"]
        own += ["--compat-records", str(self.records.resolve())]
        return [sys.executable, "-m", "pytest", *own, *self.arguments, "--pyargs", "compat.suite"]

    def _follow(self, run: subprocess.Popen[bytes], watch: Watcher) -> None:
        size, known = -1, diagnose((), self.areas, ended=False)
        while run.poll() is None:
            now = sum(file.stat().st_size for file in self.records.rglob("*.jsonl"))
            if now != size:
                size, read = now, read_records(self.records)
                known = diagnose(read.records, self.areas, ended=False)
            watch(known, self.last_words())
            time.sleep(SECONDS_BETWEEN_LOOKS)


@contextmanager
def _process(command: Sequence[str], output: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone when this context is left, however it is left."""
    run = subprocess.Popen(
        command,
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        # Ctrl-C in a terminal reaches every process of its group. It is passed on by `_interrupt`
        # instead, once: a second one would end pytest while it ends its records.
        start_new_session=True,
    )
    try:
        yield run
    finally:
        if run.poll() is None:
            run.kill()
        run.wait()


def _interrupt(run: subprocess.Popen[bytes]) -> None:
    """Have pytest end its records; a second Ctrl-C ends the wait, and the process."""
    run.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        run.wait(SECONDS_TO_END)
