"""Text that somebody else has written, made safe to look at."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def visible(text: str, limit: int | None = None) -> str:
    """`text` with every character that a terminal or a browser would obey made visible.

    Control characters, direction overrides, zero-width characters and lone surrogates become
    escapes such as `\\x1b` and `\\u202e`. Longer than `limit` characters, it is cut and
    says so. This is not HTML escaping, which the templates do on top.
    """
    cut = text if limit is None or len(text) <= limit else text[:limit]
    shown = "".join(map(_shown, cut)) if not cut.isascii() or not cut.isprintable() else cut
    return shown if len(cut) == len(text) else f"{shown} … ({len(text):,} characters in all)"


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
