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
    # A page has millions of characters, and few that differ.
    orders = {ord(one): _escaped(one) for one in set(cut) if _is_hidden(one)}
    shown = cut.translate(orders) if orders else cut
    return shown if len(cut) == len(text) else f"{shown} … ({len(text):,} characters in all)"


def _is_hidden(character: str) -> bool:
    return character not in _KEPT and unicodedata.category(character) in _HIDDEN


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
