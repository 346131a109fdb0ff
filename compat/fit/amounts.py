"""Amounts of memory as people write them: `24GB`, `80GiB`, `2x24GB`."""

from __future__ import annotations

import re

UNITS = {"": 10**9, "b": 1, "mb": 10**6, "gb": 10**9, "tb": 10**12, "mib": 2**20, "gib": 2**30}
"""By what follows the number; a number alone is in GB, which are 10^9 bytes."""

_AMOUNT = re.compile(r"(?:(\d+)\s*[x*]\s*)?(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)


def amounts(text: str) -> tuple[int, ...]:
    """Bytes, as often as `text` says: `2x24GB` are two. Raises ValueError."""
    found = _AMOUNT.fullmatch(text.strip())
    unit = found and UNITS.get(found[3].lower())
    if found is None or unit is None:
        raise ValueError(f"{text!r} is no amount of memory, such as 24GB, 80GiB or 2x24GB")
    count = int(found[1] or 1)
    return (round(float(found[2]) * unit),) * count


def amount(text: str) -> int:
    """One such amount. Raises ValueError."""
    found = amounts(text)
    if len(found) != 1:
        raise ValueError(f"{text!r} is {len(found)} amounts of memory, and one is asked for")
    return found[0]
