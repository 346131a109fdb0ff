"""Tables and text of Markdown pages, with nothing in them that a model could make it obey."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from compat.report.text import is_link

# Whatever could open a link, a tag, a heading, a list, a code span or a table cell.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")
# What GitHub makes a mention or a link of without any sign around it.
_BARE = re.compile(r"@|(?<=:)//|\bwww(?=\.)", re.IGNORECASE)
_JOINER = "\N{WORD JOINER}"
_CELL_LIMIT = 240


def escaped(text: str, limit: int = _CELL_LIMIT) -> str:
    """`text` on one line, with nothing in it that HTML or Markdown, GitHub's too, would obey."""
    line = " ".join(text.split())
    cut = line if len(line) <= limit else line[:limit].rstrip() + " …"
    return _BARE.sub(rf"\g<0>{_JOINER}", _SPECIAL.sub(r"\\\1", cut))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, and an empty one behind it; `None.` where it has no row."""
    body = ["| " + " | ".join(row) + " |" for row in rows]
    if not body:
        yield "None."
    else:
        yield "| " + " | ".join(head) + " |"
        yield "|" + "|".join("---" for _ in head) + "|"
        yield from body
    yield ""


def report_link(address: str) -> str:
    """A link to the report of a fault, where its address may become one."""
    return f"[Report]({address})." if is_link(address) else escaped(address)
