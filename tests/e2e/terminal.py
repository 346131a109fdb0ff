"""pytest on a pseudo terminal, and what a person sees on it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pyte = pytest.importorskip("pyte", reason="pip install '.[dev]'")

LINES, COLUMNS = 30, 110
PATIENCE = 60.0
"""Seconds until a test gives up on what never comes."""


@dataclass
class Terminal:
    """A terminal with a process in it; `seen` is every byte that it was sent."""

    process: subprocess.Popen[bytes]
    handle: int
    seen: bytes = b""
    screen: Any = field(default_factory=lambda: pyte.HistoryScreen(COLUMNS, LINES, history=1000))

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, and above it."""
        above = ["".join(row[x].data for x in range(COLUMNS)) for row in self.screen.history.top]
        lines = [line.rstrip() for line in (*above, *self.screen.display)]
        return [line for line in lines if line]

    def wait_for(self, *texts: str) -> list[str]:
        """The lines of the screen as soon as each of the texts stands somewhere on it."""
        deadline = time.monotonic() + PATIENCE
        while not all(any(text in line for line in self.lines) for text in texts):
            assert time.monotonic() < deadline, "\n".join(self.lines)
            assert self._read(), "\n".join(self.lines)
        return self.lines

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self.handle, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends the signal to all that run in it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def finish(self) -> list[str]:
        """The lines that are left when the process has ended."""
        while self._read():
            pass
        self.process.wait(PATIENCE)
        return self.lines

    def _read(self) -> bool:
        ready, _, _ = select.select([self.handle], [], [], PATIENCE)
        assert ready, "\n".join(self.lines)
        try:
            received = os.read(self.handle, 65536)
        except OSError:  # the other end was closed
            return False
        self.seen += received
        self._stream.feed(received)
        return bool(received)


@contextmanager
def terminal_in(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Terminal]:
    """Run pytest in a terminal of its own."""
    handle, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "PYTEST_XDIST_WORKER")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
        env={**variables, "TERM": "xterm-256color", **environment},
    )
    os.close(end)
    try:
        yield Terminal(process, handle)
    finally:
        process.kill()
        process.wait()
        os.close(handle)
