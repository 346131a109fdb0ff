"""How a worker has died: what the operating system and its standard error tell."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

from compat.outcomes import Outcome
from compat.plugin.watchdog import Expiry

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

SECONDS_TO_DIE = 5.0
INTERVAL = 0.02
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes: getrusage counts in KiB, but on macOS."""
CUDA_IS_BROKEN = 70
"""The exit status of a worker that ends itself because it can't use its GPU any longer."""
KERNEL_COUNTERS = Path("/proc/vmstat")


@dataclass(frozen=True)
class Death:
    """The end of a worker that was not asked to end."""

    how: str
    """What follows `the process`: `was killed by SIGSEGV`."""
    outcome: Outcome = Outcome.CRASHED
    signal: str | None = None
    peak: int | None = None
    """The most resident memory that the process ever had, in bytes."""
    stderr: str = ""
    """The last lines that it wrote to its standard error."""


@dataclass(frozen=True)
class Exit:
    """How a process has ended."""

    status: int
    """As of `Popen.returncode`: below zero the number of a signal."""
    peak: int | None = None

    @property
    def signal(self) -> str | None:
        """The signal that killed it."""
        return signal.Signals(-self.status).name if self.status < 0 else None


def process_of(node: WorkerController) -> Popen[bytes] | None:
    """The process of a worker on this machine; execnet tells it in no other way."""
    return getattr(node.gateway._io, "popen", None)


def death_of(
    process: Popen[bytes] | None, expiry: Expiry | None, stderr: str, killed_before: int | None
) -> Death:
    """What can be found out about a worker that is gone.

    `expiry` says why it was ended, if it was. `killed_before` is `killed_for_memory()` as it was
    when the worker was alive.
    """
    ended = None if process is None else wait_for(process)
    if expiry is not None:
        return Death(
            how=f"was ended: its deadline of {expiry.limit:g} s was over",
            outcome=Outcome.TIMEOUT,
            peak=None if ended is None else ended.peak,
            stderr=stderr,
        )
    if process is None:
        return Death("died", stderr=stderr)
    if ended is None:
        return Death("no longer answers", stderr=stderr)
    if ended.status == CUDA_IS_BROKEN:
        return Death("ended itself: its CUDA context was broken", peak=ended.peak, stderr=stderr)
    if ended.signal is None:
        return Death(f"ended with exit status {ended.status}", peak=ended.peak, stderr=stderr)
    how, outcome = f"was killed by {ended.signal}", Outcome.CRASHED
    if ended.status == -signal.SIGKILL and killed_for_memory() != killed_before:
        # What this machine has too little of is nothing that the model does wrong.
        how, outcome = f"{how}: the kernel ran out of memory", Outcome.ERROR
    return Death(how, outcome, signal=ended.signal, peak=ended.peak, stderr=stderr)


def wait_for(process: Popen[bytes]) -> Exit | None:
    """The end of a process that is about to end; None where it does not."""
    if not hasattr(os, "wait4"):
        return _status_of(process)
    deadline = time.monotonic() + SECONDS_TO_DIE
    while time.monotonic() < deadline:
        if process.returncode is not None:  # somebody has waited for it before
            return Exit(process.returncode)
        try:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        except ChildProcessError:
            return _status_of(process)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Exit(process.returncode, peak=usage.ru_maxrss * MAXRSS_UNIT)
        time.sleep(INTERVAL)
    return None


def _status_of(process: Popen[bytes]) -> Exit | None:
    status = process.poll()
    return None if status is None else Exit(status)


def killed_for_memory() -> int | None:
    """How many processes of this machine the kernel has killed for want of memory so far."""
    try:
        counters = KERNEL_COUNTERS.read_text().splitlines()
    except OSError:  # not Linux
        return None
    return next((int(line.split()[1]) for line in counters if line.startswith("oom_kill ")), None)
