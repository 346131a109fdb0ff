"""Ends workers that hang: a thread of the controller, which nothing in a worker can hold up.

A watchdog inside the worker would be stopped together with it, and one that is written in Python
waits for the interpreter's lock, which C code may hold for ever.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import IO

import psutil

from compat.results.follow import Follower
from compat.results.record import CaseStartRecord

INTERVAL = 0.5
"""Seconds between two looks at the workers."""
DUMP_SIGNAL = getattr(signal, "SIGUSR2", None)
"""Has a worker write where it is, in C and without the interpreter's lock."""
SECONDS_TO_DUMP = 0.5

PROCESSES = Path("/proc")

LimitOf = Callable[[CaseStartRecord], float]


@dataclass(frozen=True)
class Expiry:
    """A stage of a case took longer than it may."""

    start: CaseStartRecord
    limit: float
    """Seconds."""


@dataclass
class _Watched:
    process: psutil.Process
    pipe: IO[bytes] | None
    """What it writes to, as this process reads it."""
    follower: Follower
    stage: CaseStartRecord | None = None
    since: float = 0.0
    """When it was first seen in that stage, on the monotonic clock."""


class Watchdog:
    """Looks at what each worker has written that it is doing, and for how long already."""

    def __init__(self, limit_of: LimitOf) -> None:
        self._limit_of = limit_of
        self._watched: dict[str, _Watched] = {}
        self._expired: dict[str, Expiry] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compat-watchdog", daemon=True)

    def watch(self, worker: str, process: Popen[bytes], records: Path) -> None:
        """Watch a worker from now on, by the file that it writes its records to."""
        with suppress(psutil.NoSuchProcess):  # whoever waits for its end will find it dead
            one = psutil.Process(process.pid)
            self._watched[worker] = _Watched(one, process.stdout, Follower(records))
        if self._thread.ident is None:
            self._thread.start()

    def forget(self, worker: str) -> Expiry | None:
        """Watch a worker no longer. Returns why it was ended, if it was."""
        self._watched.pop(worker, None)
        return self._expired.get(worker)

    def stop(self) -> None:
        """Watch nobody any longer."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            for worker, watched in list(self._watched.items()):
                if is_dead(watched.process):
                    # Its end is seen by the end of the pipe, which children of it may hold open.
                    end_those_who_hold(watched.pipe)
                    continue
                expiry = self._look(watched)
                if expiry is not None:
                    self._end(worker, watched, expiry)

    def _look(self, watched: _Watched) -> Expiry | None:
        """Why a worker has to be ended; None for one that has time left."""
        start = watched.follower.open_case()
        now = time.monotonic()
        if start != watched.stage:
            watched.stage, watched.since = start, now
        if start is None:
            return None
        limit = self._limit_of(start)
        return Expiry(start, limit) if now - watched.since > limit else None

    def _end(self, worker: str, watched: _Watched, expiry: Expiry) -> None:
        pid = watched.process.pid
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            family = watched.process.children(recursive=True)
            if DUMP_SIGNAL is not None:
                os.kill(pid, DUMP_SIGNAL)
                time.sleep(SECONDS_TO_DUMP)
            if watched.follower.open_case() != expiry.start:
                return  # a system call that the signal has interrupted was all it waited for
            self._expired[worker] = expiry
            for process in (watched.process, *family):
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def is_dead(process: psutil.Process) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def end_those_who_hold(pipe: IO[bytes] | None) -> None:
    """Kill every other process that has a pipe of this one open; on Linux, where that is known."""
    if pipe is None or pipe.closed or not PROCESSES.is_dir():
        return
    name = os.readlink(f"/proc/self/fd/{pipe.fileno()}")
    for process in psutil.process_iter():
        if process.pid != os.getpid() and name in _handles(process.pid):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _handles(pid: int) -> Iterator[str]:
    with suppress(OSError):  # it has ended meanwhile, or is another person's
        for handle in (PROCESSES / str(pid) / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(handle)
