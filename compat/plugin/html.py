"""Our columns in the raw log of pytest-html. The matrix of the report is not built on it."""

from __future__ import annotations

from html import escape
from typing import Any

import pytest

BEHIND_THE_RESULT = 1
COLUMNS = ("Area", "Mode", "Reason")


def pytest_html_results_table_header(cells: list[str]) -> None:
    """Add the titles."""
    titles = [
        f'<th class="sortable" data-column-type="{name.lower()}">{name}</th>' for name in COLUMNS
    ]
    cells[BEHIND_THE_RESULT:BEHIND_THE_RESULT] = titles


def pytest_html_results_table_row(report: pytest.TestReport, cells: list[str]) -> None:
    """Add the values, escaped: a reason may quote a model."""
    if not cells:  # pytest-html leaves out a row by emptying it
        return
    record: dict[str, Any] = getattr(report, "compat", {})
    values = (
        record.get("area", ""),
        record["case"].rsplit("/", 3)[1] if record else "",
        record.get("reason", {}).get("text", ""),
    )
    cells[BEHIND_THE_RESULT:BEHIND_THE_RESULT] = [f"<td>{escape(value)}</td>" for value in values]
