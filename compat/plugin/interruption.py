"""Ctrl-C that a library has swallowed: while torch and numpy are imported, C code clears errors.

The run would go on, with a module that is there by half, and blame models for it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from types import FrameType

import pytest

SWALLOWED = "Ctrl-C, of which a library has kept the exception to itself"


class Interruption:
    """Remembers Ctrl-C, and interrupts the run by the end of the phase of the test it came in."""

    def __init__(self) -> None:
        self._asked_for = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Listen while tests run, beside whoever listens already."""
        former = signal.getsignal(signal.SIGINT)
        if not callable(former) or threading.current_thread() is not threading.main_thread():
            return (yield)

        def remember(number: int, frame: FrameType | None) -> object:
            self._asked_for = True
            return former(number, frame)

        signal.signal(signal.SIGINT, remember)
        try:
            return (yield)
        finally:
            if signal.getsignal(signal.SIGINT) is remember:
                signal.signal(signal.SIGINT, former)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, object, object]:
        """Raise KeyboardInterrupt before anybody hears of a test that was interrupted."""
        report = yield
        if self._asked_for:
            raise KeyboardInterrupt(SWALLOWED)
        return report
