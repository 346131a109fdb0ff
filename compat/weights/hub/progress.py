"""How a download gets on: its size, what is there of it, and the time that is left."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from compat.results.duration import duration
from compat.weights.hub.access import Announce, gigabytes

SECONDS_BETWEEN = 10.0


class DownloadProgress:
    """Announces one download: when it begins, every ten seconds, and when it has ended."""

    def __init__(
        self,
        name: str,
        size: int,
        announce: Announce,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._size = size
        self._announce = announce
        self._clock = clock
        self._began = self._told = clock()

    def begin(self) -> None:
        """Say what is about to be fetched."""
        self._announce(f"downloading {self._name}: {gigabytes(self._size)}")

    def reached(self, done: float) -> None:
        """Note how many bytes are there, and say so where the last word is long ago."""
        now = self._clock()
        if now - self._told < SECONDS_BETWEEN or not 0 < done < self._size:
            return
        self._told = now
        left = (now - self._began) / done * (self._size - done)
        self._announce(
            f"downloading {self._name}: {gigabytes(done)} of {gigabytes(self._size)}, "
            f"about {duration(left)} left"
        )

    def end(self) -> float:
        """Say how long it took. Returns the seconds."""
        seconds = self._clock() - self._began
        self._announce(f"downloaded {self._name}: {gigabytes(self._size)} in {duration(seconds)}")
        return seconds


def bar_class(progress: DownloadProgress) -> type[tqdm]:
    """A class for huggingface_hub's bars that shows nothing and tells `progress` of their bytes."""

    class QuietBar(tqdm):  # type: ignore[misc]
        """One bar of several: bytes received, bytes written, files."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            quiet = {"file": io.StringIO(), "disable": False, "leave": False}
            super().__init__(*arguments, **{**options, **quiet})

        def display(self, *arguments: Any, **options: Any) -> None:
            """Show nothing."""

        def update(self, n: float | None = 1) -> bool | None:
            """Count on."""
            shown: bool | None = super().update(n)
            if self.unit == "B":
                progress.reached(self.n)
            return shown

    return QuietBar
