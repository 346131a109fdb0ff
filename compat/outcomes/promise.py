"""What was promised of memory before a target was loaded, carried by whatever is raised after all.

An exception for want of memory then tells both figures: what was predicted to be needed, and what
was free. Where nothing was promised, memory that runs out is this machine's want alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_ATTRIBUTE = "compat_promise"


@dataclass(frozen=True)
class Promise:
    """That something fits: judged, and found to."""

    place: str
    """Where it is closest: `main memory`, `GPU memory`."""
    needed: int
    """Bytes that were predicted to be needed there, margins included."""
    free: int
    """Bytes that were free there before loading."""

    def __str__(self) -> str:
        return (
            f"{self.needed / 1e9:.2f} GB of {self.place} were predicted to be enough, "
            f"{self.free / 1e9:.2f} GB were free before loading"
        )


@contextmanager
def promised(promise: Promise | None) -> Iterator[None]:
    """Have whatever is raised inside carry the promise; an inner one stays."""
    try:
        yield
    except BaseException as error:  # every one passes on, marked
        if promise is not None and promise_of(error) is None:
            setattr(error, _ATTRIBUTE, promise)
        raise


def promise_of(error: BaseException) -> Promise | None:
    """What was promised to whoever raised `error`."""
    promise = getattr(error, _ATTRIBUTE, None)
    return promise if isinstance(promise, Promise) else None
