"""Ends workers that hang: a thread of the controller, which nothing in a worker can hold up.

A watchdog inside the worker would be stopped together with it, and one that is written in Python
waits for the interpreter's lock, which C code may hold for ever.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from compat.results.follow import Follower
from compat.results.record import CaseStartRecord

INTERVAL = 0.5
"""Seconds between two looks at the workers."""
DUMP_SIGNAL = getattr(signal, "SIGUSR2", None)
"""Has a worker write where it is, in C and without the interpreter's lock."""
SECONDS_TO_DUMP = 0.5

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

    def watch(self, worker: str, pid: int, records: Path) -> None:
        """Watch a worker from now on, by the file that it writes its records to."""
        with suppress(psutil.NoSuchProcess):  # whoever waits for its end will find it dead
            self._watched[worker] = _Watched(psutil.Process(pid), Follower(records))
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
