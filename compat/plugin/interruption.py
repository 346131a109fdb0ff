"""Ctrl-C, so that it ends a run in good order wherever it comes.

While torch and numpy are imported, C code clears errors, and Ctrl-C with them: the run would go on
with a module that is there by half, and blame models for it. And a second one, pressed while the
first is being answered, would cut off the records and the report.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType

import pytest

SWALLOWED = "Ctrl-C, of which a library has kept the exception to itself"
FINISHING = b"\nthe records are being finished; Ctrl-C once more ends that, too\n"
STDERR = 2


class Interruption:
    """Listens to Ctrl-C beside whoever did so before, from the first test on."""

    def __init__(self) -> None:
        self._former: Callable[[int, FrameType | None], object] | None = None
        self._asked_for = False
        self._finishing = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Listen while tests run, and after Ctrl-C until everything is finished."""
        self._listen()
        try:
            return (yield)
        except KeyboardInterrupt:
            self._finishing = True
            raise
        finally:
            if not self._finishing:
                self._leave()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, object, object]:
        """Raise KeyboardInterrupt before anybody hears of a test that was interrupted."""
        report = yield
        if self._asked_for:
            raise KeyboardInterrupt(SWALLOWED)
        return report

    def pytest_unconfigure(self) -> None:
        """Leave Ctrl-C to whoever listened before."""
        self._leave()

    def _listen(self) -> None:
        former = signal.getsignal(signal.SIGINT)
        if callable(former) and threading.current_thread() is threading.main_thread():
            self._former = former
            signal.signal(signal.SIGINT, self._hear)

    def _leave(self) -> None:
        if self._former is not None and signal.getsignal(signal.SIGINT) == self._hear:
            signal.signal(signal.SIGINT, self._former)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._finishing:
            self._leave()
            os.write(STDERR, FINISHING)  # a stream may be in the middle of a line
        elif self._former is not None:
            self._asked_for = True
            self._former(number, frame)
