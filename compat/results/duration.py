"""Spans of time in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A rough duration in words: `40 s`, `3 min`, `1.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
