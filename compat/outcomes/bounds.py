"""Running what a stranger has written within bounds of time and memory.

A config or a chat template is no program, and still it can keep a processor busy for ever or ask
for more memory than there is.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

MEGABYTE = 10**6
STATUS = "/proc/self/statm"


class BoundsExceededError(Exception):
    """It took more time or memory than anything that is meant well does."""


class _Alarm(BaseException):
    """Passes by whoever catches Exception on the way."""


@contextmanager
def bounded(what: str, *, seconds: float, megabytes: int) -> Iterator[None]:
    """Raise BoundsExceededError where what runs inside takes longer, or asks for more memory.

    The time is that of a clock and ends Python code; a library's own loop is ended when it
    returns. Both bounds need Linux, and the first one the main thread: elsewhere there is none.
    Code whose allocations may not fail (Rust's) does not belong inside.
    """
    try:
        with ExitStack() as undo:
            undo.enter_context(_memory_limited(megabytes * MEGABYTE))
            undo.enter_context(_interrupted_after(seconds))
            yield
    except _Alarm:
        raise BoundsExceededError(f"{what} takes longer than {seconds:g} s") from None
    except MemoryError:
        raise BoundsExceededError(f"{what} takes more than {megabytes:,} MB") from None


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Raise _Alarm in the main thread after so long; a timer that was running goes on behind."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _Alarm

    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def _memory_limited(extra: int) -> Iterator[None]:
    """Let this process have so many bytes of address space more than it has, and no more."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open(STATUS, encoding="ascii") as status:
        limit = int(status.read().split()[0]) * resource.getpagesize() + extra
    if resource.RLIM_INFINITY not in (soft, limit):
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
