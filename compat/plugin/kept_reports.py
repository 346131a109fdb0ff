"""What pytest's reports of one case have in common is kept once.

pytest keeps the reports of setup, call and teardown of every case until the end of the run. Each
has its own copy of the item's keywords and location, which is most of what a case leaves in memory.
"""

from __future__ import annotations

from typing import Any

import pytest

COMMON = ("keywords", "location")
FIRST: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
"""Of the item under way: what its first report holds under these names."""


def share_common_parts(item: pytest.Item, report: pytest.TestReport) -> None:
    """Have a report hold what the item's first one holds, where it is the same."""
    first = item.stash.setdefault(FIRST, {name: getattr(report, name) for name in COMMON})
    for name, value in first.items():
        if getattr(report, name) == value:
            setattr(report, name, value)
    if report.when == "teardown":
        del item.stash[FIRST]
