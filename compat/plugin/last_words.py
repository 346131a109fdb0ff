"""What a worker wrote to its standard error before it died.

pytest captures it in a file without a name, which goes with the process. On Linux the controller
can open it by the worker's own handle, as long as the worker lives, and keeps it.
"""

from __future__ import annotations

import faulthandler
import os
import re
from pathlib import Path
from typing import BinaryIO

import pytest

from compat.plugin.watchdog import DUMP_SIGNAL

STDERR = 2
LINES = 50
BYTES = 65536
MACHINERY = re.compile(
    r'  File "(.*/site-packages/(pluggy|_pytest|xdist|execnet)/|<string>)|Extension modules: '
)
"""Lines of faulthandler that are the same in every traceback."""


def _link(folder: Path, worker: str) -> Path:
    return folder / f"{worker}.stderr"


def offer(config: pytest.Config, folder: Path, worker: str) -> None:
    """In a worker: leave a link to what is captured, and have crashes write their traceback there.

    Where nothing is captured, or there is no /proc, there is no link.
    """
    handle = _captured(config)
    if handle is None:
        return
    faulthandler.enable(handle)
    if DUMP_SIGNAL is not None:
        faulthandler.register(DUMP_SIGNAL, handle)
    folder.mkdir(parents=True, exist_ok=True)
    _link(folder, worker).symlink_to(f"/proc/{os.getpid()}/fd/{handle}")


def _captured(config: pytest.Config) -> int | None:
    """A handle on the file that standard error goes to while a test runs."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is None or not Path("/proc/self/fd").is_dir():
        return None
    ordinary = os.fstat(STDERR)
    capture.resume_global_capture()
    try:
        if os.path.samestat(ordinary, os.fstat(STDERR)):
            return None
        return os.dup(STDERR)
    finally:
        capture.suspend_global_capture()


def take(folder: Path, worker: str) -> BinaryIO | None:
    """In the controller: open what a worker has offered, and remove the link."""
    link = _link(folder, worker)
    try:
        captured = link.open("rb")
    except OSError:  # nothing was offered, or its process is gone already
        captured = None
    link.unlink(missing_ok=True)
    return captured


def read(captured: BinaryIO | None) -> str:
    """The last lines of it, as plain text, and close it."""
    if captured is None:
        return ""
    with captured:
        size = captured.seek(0, os.SEEK_END)
        captured.seek(max(0, size - BYTES))
        text = captured.read().decode(errors="replace")
    lines = [line for line in text.strip().splitlines() if not MACHINERY.match(line)]
    return "\n".join(map(_printable, lines[-LINES:])).strip()


def _printable(line: str) -> str:
    return "".join(letter for letter in line.expandtabs() if letter.isprintable())
