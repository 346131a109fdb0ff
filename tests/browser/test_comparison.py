"""The page that `compat diff --html` writes, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compat.report.comparison import comparison_view
from compat.report.comparison_html import comparison_html
from compat.results.compare import compare
from tests.browser.conftest import Reader, old_records, records

Axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="pip install '.[dev]'"
).Axe

PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture
def reader(chromium: Any, tmp_path: Path) -> Iterator[Reader]:
    page = tmp_path / "diff.html"
    page.write_text(
        comparison_html(comparison_view(compare(old_records(), records()))), encoding="utf-8"
    )
    made = Reader(chromium, page)
    yield made
    made.close()


def test_it_asks_for_nothing_runs_nothing_and_shows_what_changed(reader: Reader) -> None:
    page = reader.open()
    page.wait_for_load_state("networkidle")
    assert reader.requests == [reader.report.as_uri()]
    assert reader.complaints == []
    assert page.title() == "Compatibility: what changed"
    assert page.get_by_role("cell", name="barn/shed-small").first.is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("settings", [{}, PHONE], ids=["page", "phone"])
def test_axe_finds_no_violation(reader: Reader, theme: str, settings: dict[str, Any]) -> None:
    found = Axe().run(reader.open(color_scheme=theme, **settings))
    assert found.violations_count == 0, found.generate_report()
