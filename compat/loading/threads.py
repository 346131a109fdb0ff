"""How many threads a model is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

SMALL_BYTES = 64 * 10**6
"""Below this size an operation is over before a second thread has woken up, and where the cores
are busy the first one waits for it."""


@contextmanager
def threads_worth(folder: Path) -> Iterator[None]:
    """Compute on one thread while a small checkpoint is loaded; others keep what torch has."""
    before = torch.get_num_threads()
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    if size < SMALL_BYTES:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
