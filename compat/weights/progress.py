"""How something long gets on: its size, how much of it is done, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from compat.results.duration import duration

SECONDS_BETWEEN = 10.0
GIGABYTE = 1e9


def gigabytes(size: float) -> str:
    """A number of bytes as the suite writes it: `16.1 GB`, `0.003 GB`."""
    value = size / GIGABYTE
    return f"{value:.1f} GB" if value >= 0.1 else f"{value:.2g} GB"


class Progress:
    """Announces one piece of work: when it begins, every ten seconds, and when it has ended.

    `doing` and `done` are its verb: `downloading` and `downloaded`.
    """

    def __init__(
        self,
        doing: str,
        done: str,
        name: str,
        size: int,
        announce: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._doing = f"{doing} {name}"
        self._done = f"{done} {name}"
        self._size = size
        self._announce = announce
        self._clock = clock
        self._began = self._told = clock()

    def begin(self) -> None:
        """Say what is about to be done."""
        self._announce(f"{self._doing}: {gigabytes(self._size)}")

    def reached(self, done: float) -> None:
        """Note how many bytes are done, and say so where the last word is long ago."""
        now = self._clock()
        if now - self._told < SECONDS_BETWEEN or not 0 < done < self._size:
            return
        self._told = now
        left = (now - self._began) / done * (self._size - done)
        self._announce(
            f"{self._doing}: {gigabytes(done)} of {gigabytes(self._size)}, "
            f"about {duration(left)} left"
        )

    def end(self) -> float:
        """Say how long it took. Returns the seconds."""
        seconds = self._clock() - self._began
        self._announce(f"{self._done}: {gigabytes(self._size)} in {duration(seconds)}")
        return seconds
