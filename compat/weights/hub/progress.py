"""How a download gets on: its size, what is there of it, and the time that is left."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from compat.weights.hub.access import Announce
from compat.weights.progress import Progress


class DownloadProgress(Progress):
    """Announces one download: when it begins, every ten seconds, and when it has ended."""

    def __init__(
        self,
        name: str,
        size: int,
        announce: Announce,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("downloading", "downloaded", name, size, announce, clock)


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
