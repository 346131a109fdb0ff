"""How large a batch may be: peaks drawn on from two runs, and the largest that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

RUN_AT = (2, 16)
"""Batches that are run. What a batch takes grows in a straight line with its rows; what one row
alone has to itself, as a mask for the whole batch, is past by the second."""
MOST = 4096
"""Rows beyond which nobody asks."""

Run = Callable[[int], int]
"""Rows of a batch -> bytes at its peak."""


@dataclass(frozen=True)
class Line:
    """Bytes at the peak of a run by the rows of its batch."""

    one: int
    """Of a batch of one, which is always run."""
    first: int
    second: int
    """Of batches of `RUN_AT` rows."""

    @classmethod
    def through(cls, run: Run) -> Line:
        """Run the batches it takes."""
        return cls(run(1), *map(run, RUN_AT))

    def at(self, batch: int) -> int:
        """The peak of a batch."""
        if batch == 1:
            return self.one
        near, far = RUN_AT
        return self.first + (self.second - self.first) * (batch - near) // (far - near)


def largest_batch(fits: Callable[[int], bool], most: int = MOST) -> int:
    """The largest batch that fits, 0 where not even one row does. What fits, fits when smaller."""
    if not fits(1):
        return 0
    low, high = 1, 2
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
