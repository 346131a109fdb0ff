"""The slope that a loss shows, to hold a gradient against."""

from __future__ import annotations

from collections.abc import Callable

SHARES = (1e-2, 3e-3, 1e-3)
"""Steps, as shares of the size of what is moved."""


def slope_along(loss: Callable[[float], float], size: float, expected: float) -> float:
    """The central difference of a loss along a direction, in nats a unit.

    `loss` gives it so far along the direction; `size` is that of what is moved, in the same unit.
    Of three steps the one whose slope comes closest to the `expected` one: where a router sends a
    token elsewhere the loss jumps, and a smaller step does not get so far.
    """
    steps = [share * size for share in SHARES]
    slopes = [(loss(step) - loss(-step)) / (2 * step) for step in steps]
    return min(slopes, key=lambda slope: abs(slope - expected))
