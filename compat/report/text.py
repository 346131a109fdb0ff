"""Numbers and untrusted text as a reader sees them."""

from __future__ import annotations

import math
import re

from compat.results.record import Measures
from compat.results.visible import visible as visible

Measure = float | int | str | bool | list[float] | None

_LINK = re.compile(r"https?://[\w./:#?=&%+~@,-]+", re.ASCII)
_UNIT = re.compile(r"(?:^|_)(per_second|seconds|bytes|nats)(?=_|$)")
_SPELLED = {"rss": "resident memory", "resident": "resident memory", "kv": "KV", "kl": "KL"}
_DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def is_link(address: str) -> bool:
    """Whether an address may become a link: the web only, never a script, nothing to escape."""
    return _LINK.fullmatch(address) is not None


def parameters(count: int) -> str:
    """A parameter count as model cards write it: `124M`, `1.24B`, `46.7B`."""
    if count < 999_500_000:
        return f"{count / 1e6:.3g}M"
    return f"{count / 1e9:.3g}B" if count < 999_500_000_000 else f"{count / 1e12:.3g}T"


def duration(seconds: float) -> str:
    """Seconds with the unit that suits them: `340 ms`, `12.3 s`, `4 min 05 s`, `1 h 02 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def byte_size(count: float) -> str:
    """Bytes in decimal units: a GB is 10^9 bytes."""
    for size, prefix in _DECIMAL:
        if count >= size:
            return f"{count / size:.3g} {prefix}B"
    return f"{count:.0f} B"


def number(value: float) -> str:
    """A number with at most four significant digits, or with thousands separators."""
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e4 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.4g}"


def rate(value: float) -> str:
    """A speed: whole from a hundred on, with one decimal below."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def measure_text(name: str, value: Measure) -> str:
    """The value of a measure; its unit is a word of its name: `load_seconds`, `bytes_before`."""
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return visible(value, 120)
    if isinstance(value, list):
        if not value:
            return "none"
        return f"{number(min(value))} to {number(max(value))} over {len(value)}"
    match _unit(name):
        case "per_second":
            return f"{rate(value)}/s"
        case "seconds":
            return duration(value)
        case "bytes":
            return byte_size(value)
        case "nats":
            return f"{number(value)} nats"
    return number(value)


def measure_label(name: str) -> str:
    """The name of a measure in words, without the unit that its text shows."""
    unit = _unit(name)
    words = name if unit is None else _UNIT.sub(" ", name, count=1)
    spelled = (_SPELLED.get(word, word) for word in words.replace("_", " ").split())
    return visible(" ".join(spelled), 60)


def _unit(name: str) -> str | None:
    found = _UNIT.search(name)
    return found[1] if found else None


def measures_text(measures: Measures) -> tuple[tuple[str, str], ...]:
    """Every measure of a case that has a value, as label and text, in the order recorded."""
    return tuple(
        (measure_label(name), measure_text(name, value))
        for name, value in measures.items()
        if value is not None
    )
