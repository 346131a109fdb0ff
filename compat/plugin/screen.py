"""The terminal while a suite runs: whole lines from any thread, and some lines kept below them all.

What is kept below is drawn there with the cursor staying where pytest has it. rich's `Live` leaves
the cursor below its own lines, where everything would land that does not come through it: a
worker's standard error, a test that prints with capturing disabled, a driver's complaint.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from typing import TextIO

DOWN = "\x1bD"
"""A line down in the same column, and the screen scrolls at its end."""
UP = "\x1b[{}A"
SAVE, RESTORE = "\x1b7", "\x1b8"
ERASE_BELOW = "\x1b[J"
FALLBACK = os.terminal_size((80, 24))


class Screen(io.TextIOBase):
    """Stands in for the file that pytest's reporter writes to.

    It writes to a handle of its own: while a test runs, pytest has standard output point elsewhere.
    """

    def __init__(self, file: TextIO) -> None:
        self._given = file
        self._own = _opened_again(file)
        self._lock = threading.RLock()
        self._below: tuple[str, ...] = ()
        self._drawn = False
        self._in_line = False

    @property
    def _file(self) -> TextIO:
        return self._own or self._given

    @property
    def draws(self) -> bool:
        """Whether lines can be kept below the others."""
        return (
            self._own is not None
            and self._own.isatty()
            and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        )

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines."""
        try:
            size = os.get_terminal_size(self._file.fileno())
        except OSError:  # no terminal
            return FALLBACK
        return size if size.columns and size.lines else FALLBACK

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._file.isatty()

    def write(self, text: str) -> int:
        """Write what pytest has to say, above what is kept below."""
        with self._lock:
            self._erase()
            if text:
                self._file.write(text)
                self._in_line = not text.endswith("\n")
        return len(text)

    def flush(self) -> None:
        """Have the terminal show it, and below it again what is kept there."""
        with self._lock:
            self._draw()
            self._file.flush()

    def line(self, text: str) -> None:
        """Write a line of its own, from any thread."""
        with self._lock:
            self.write(("\n" if self._in_line else "") + text + "\n")
            self.flush()

    def keep_below(self, lines: Sequence[str]) -> None:
        """Show these lines below whatever is written, until others are given."""
        encoding = self._file.encoding or "ascii"
        with self._lock:
            self._below = tuple(
                line.encode(encoding, errors="replace").decode(encoding) for line in lines
            )
            self._erase()
            self.flush()

    def close(self) -> None:
        """Leave the terminal as pytest has written it."""
        with self._lock:
            if self._own is not None:
                self.keep_below(())
                self._own.close()
                self._own = None

    def _erase(self) -> None:
        if self._drawn:
            self._file.write(ERASE_BELOW)
            self._drawn = False

    def _draw(self) -> None:
        if not self._below or self._drawn:
            return
        count = len(self._below)
        lines = "".join(f"\r\n{line}" for line in self._below)
        # At one stroke: whatever is written apart is seen apart, and flickers.
        self._file.write(f"{DOWN * count}{UP.format(count)}{SAVE}{lines}{RESTORE}")
        self._drawn = True


def _opened_again(file: TextIO) -> TextIO | None:
    """A handle of its own on what a file writes to; None for one that has none, as in tests."""
    try:
        handle = os.dup(file.fileno())
    except (OSError, ValueError):  # io.UnsupportedOperation is both
        return None
    file.flush()
    return os.fdopen(handle, "w", encoding=file.encoding, errors=file.errors)
