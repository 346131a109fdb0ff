"""A group of processes that may take so much memory together, and no more: Linux sees to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
JOIN = 'echo $$ > "$0" && exec "$@"'
"""For a shell, whose name is the file to join by: what it starts is in the group from the start."""


@dataclass(frozen=True)
class Place:
    """Where a group can be made, and what its limits are called there."""

    parent: Path
    limit: str
    swap: str
    """Of memory and swap together (version 1), or of swap beside it (version 2)."""
    swap_adds: bool


def places() -> Iterator[Place]:
    """The groups that this process is in, from the innermost, by both versions of the interface."""
    lines = OWN.read_text().splitlines() if OWN.exists() else []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if "memory" in controllers.split(","):
            own = ROOT / "memory" / path.lstrip("/")
            yield Place(own, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", False)
        elif not controllers:
            own = ROOT / path.lstrip("/")
            for parent in (own, *own.parents):
                if parent.is_relative_to(ROOT):
                    yield Place(parent, "memory.max", "memory.swap.max", True)


@contextmanager
def memory_group(size: int) -> Iterator[list[str]]:
    """Give the beginning of a command line that runs the rest of it in a group of `size` bytes.

    Skips the test where no group can be made.
    """
    group = _made(size)
    try:
        yield ["sh", "-c", JOIN, str(group / "cgroup.procs")]
    finally:
        group.rmdir()


def _made(size: int) -> Path:
    refusals = []
    for place in places():
        group = place.parent / f"compat-{uuid4().hex}"
        try:
            group.mkdir()
        except OSError as error:
            refusals.append(str(error))
            continue
        try:
            (group / place.limit).write_text(str(size))
            if (group / place.swap).exists():
                (group / place.swap).write_text("0" if place.swap_adds else str(size))
        except OSError as error:
            group.rmdir()
            refusals.append(str(error))
            continue
        return group
    pytest.skip(f"no control group of memory can be made here: {'; '.join(refusals) or 'no Linux'}")
