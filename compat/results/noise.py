"""Whether a measure has moved, or only wobbles.

What a measure's noise is, is known where its case was executed at least three times in one
environment with the same weights: a value outside the range of those by more than that range is
wide has moved. Elsewhere a stated factor must be exceeded. Both depend on the unit (`NOISE`): by a
stated part a single value always wobbles, and a difference below a stated size is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from compat.results.record import Measures

REPEATS = 3
PROCESS = re.compile(r"^(resident_bytes|peak_rss_bytes|open_seconds|build_seconds)")
"""Measures of the process and not of the case: they depend on what has run before it."""


@dataclass(frozen=True)
class Noise:
    """What is noise in values of one unit."""

    factor: float
    """Two single values may differ by it."""
    wobble: float
    """The part of a value that a range of repeated executions is at least taken to be wide."""
    least: float = 0.0
    """What a difference must exceed in any case, in the unit."""


NOISE = {
    "seconds": Noise(2.5, 0.5, least=1.0),
    "per_second": Noise(4.0, 0.5),
    "bytes": Noise(1.05, 0.01),
    "": Noise(1.1, 0.01, least=1e-3),
}
"""By unit, the last word of a measure's name; "" is any other.

Times of twins are short and those of busy machines wild; everything else repeats to the bit where
nothing has changed.
"""

_UNIT = re.compile(r"(?:^|_)(per_second|seconds|bytes)(?=_|$)")
_SLOW = frozenset({"seconds", "per_second"})


@dataclass(frozen=True)
class MeasureMove:
    """A measure of a case that is another one now."""

    case: str
    name: str
    old: float | str
    new: float | str
    basis: str
    """How the noise is known."""
    other_weights: bool = False
    """Whether it was measured on other weights, which is the first thing to explain it."""

    @property
    def factor(self) -> float | None:
        """The new value over the old; None where that means nothing."""
        if isinstance(self.old, str) or isinstance(self.new, str) or self.old == 0:
            return None
        return self.new / self.old


def unit_of(name: str) -> str:
    """`seconds`, `per_second`, `bytes`, or nothing."""
    found = _UNIT.search(name)
    return found[1] if found else ""


def moved_measures(
    case: str, old: Sequence[Measures], new: Sequence[Measures], *, times: bool
) -> tuple[MeasureMove, ...]:
    """The measures of a case that moved by more than their noise.

    `old` and `new` are its executions on either side, each in one environment with one revision,
    the newest last. `times` says whether times may be compared.
    """
    found = (
        _move(case, name, _values(old, name), _values(new, name))
        for name in sorted(old[-1].keys() & new[-1].keys())
        if not PROCESS.match(name) and (times or unit_of(name) not in _SLOW)
    )
    return tuple(move for move in found if move is not None)


def _values(executions: Sequence[Measures], name: str) -> list[float | str]:
    values = (measures.get(name) for measures in executions)
    return [value for value in values if isinstance(value, int | float | str)]


def _move(
    case: str, name: str, old: Sequence[float | str], new: Sequence[float | str]
) -> MeasureMove | None:
    if not old or not new or old[-1] == new[-1]:
        return None
    before, after = old[-1], new[-1]
    if isinstance(before, bool | str) or isinstance(after, bool | str):
        repeated = {*old} & {*new}  # a word that has been seen on both sides wobbles
        return None if repeated else MeasureMove(case, name, str(before), str(after), "in words")
    basis = _basis(name, _numbers(old), _numbers(new))
    return None if basis is None else MeasureMove(case, name, before, after, basis)


def _numbers(values: Sequence[float | str]) -> list[float]:
    return [float(value) for value in values if not isinstance(value, str)]


def _basis(name: str, old: Sequence[float], new: Sequence[float]) -> str | None:
    """How it is known that the newest of `new` is no wobble of `old`; None where it may be."""
    before, after = old[-1], new[-1]
    if not (math.isfinite(before) and math.isfinite(after)):
        return "not finite" if math.isfinite(before) is not math.isfinite(after) else None
    noise = NOISE[unit_of(name)]
    if abs(after - before) <= noise.least:
        return None
    repeats, value = (old, after) if len(old) >= len(new) else (new, before)
    if len(repeats) >= REPEATS:
        width = max(max(repeats) - min(repeats), noise.wobble * abs(before))
        outside = not min(repeats) - width <= value <= max(repeats) + width
        return f"noise of {len(repeats)} executions" if outside else None
    low, high = sorted((abs(before), abs(after)))
    beyond = high > low * noise.factor or (before < 0) is not (after < 0)
    return f"stated factor {noise.factor:g}" if beyond else None
