"""The matrix of one environment at a time: chosen, in the address, and gone again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compat.report import build_view, write_html
from compat.targets import Mode
from tests.browser.conftest import ANVIL, REGISTRY, ROCKET, Reader, shown_models
from tests.unit.report.records import CHECKS, target_of
from tests.unit.report.test_environments import HERE, NEW, OLD, THERE, ran

Axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="pip install '.[dev]'"
).Axe

FP32 = "tr[data-model=m-anvil-1b] td[data-gb='4.94']"
THERE_ANCHOR = "t-anvil-1b-twin-cpu-fp32-in-there"


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Anvil works here and is broken there; its nf4 and rocket ran here alone."""
    path = tmp_path_factory.mktemp("apart") / "index.html"
    fp32, nf4 = target_of(ANVIL, Mode.FP32), target_of(ANVIL, Mode.NF4)
    records = [
        HERE,
        THERE,
        *ran("here", NEW, fp32),
        *ran("here", NEW, nf4),
        *ran("here", NEW, target_of(ROCKET, Mode.FP32)),
        *ran("there", OLD, fp32, failing="recites"),
    ]
    write_html(build_view(records, REGISTRY, checks=CHECKS), path)
    return path


@pytest.fixture
def reader(chromium: Any, apart: Path) -> Iterator[Reader]:
    made = Reader(chromium, apart)
    yield made
    made.close()


def test_a_cell_says_who_found_what(reader: Reader) -> None:
    page = reader.open()
    text = " ".join(page.locator(FP32).inner_text().split())
    assert text == f"works twin A {len(CHECKS)}/{len(CHECKS)} twin B: broken"


def test_an_environment_has_a_matrix_of_its_own(reader: Reader) -> None:
    page = reader.open()
    page.locator("#filter [name=env]").select_option("there")
    assert shown_models(page) == ["anvil-1b"]
    cell = page.locator(FP32)
    said = {"broken", "twin", "B", f"{len(CHECKS) - 1}/{len(CHECKS)}"}
    assert set(cell.inner_text().split()) == said
    assert "v-broken" in cell.get_attribute("class")
    assert page.locator("tr[data-model=m-anvil-1b] td.nowhere").count() == 5
    assert page.url.endswith("#env=there")
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("!location.hash")
    assert "v-works" in cell.get_attribute("class")
    assert "works" in cell.inner_text()


def test_its_address_shows_it(reader: Reader) -> None:
    page = reader.open("#env=here&outcome=works")
    assert shown_models(page) == ["anvil-1b", "rocket-7b"]
    assert shown_models(reader.open("#env=there&outcome=works")) == []


def test_a_link_leads_from_an_environment_to_its_matrix(reader: Reader) -> None:
    page = reader.open("#runs")
    page.locator("table.environments a[href='#env=there&at=matrix']").click()
    assert shown_models(page) == ["anvil-1b"]


def test_what_came_of_it_elsewhere_has_an_address(reader: Reader) -> None:
    page = reader.open(f"#{THERE_ANCHOR}")
    text = page.locator(f"#sheet #{THERE_ANCHOR}").inner_text()
    assert "broken" in text
    assert "H200" in text
    assert page.locator("#sheet .target:visible").count() == 1


def test_without_scripts_it_is_there_to_be_read(reader: Reader) -> None:
    page = reader.open(f"#{THERE_ANCHOR}", java_script_enabled=False)
    assert page.locator(f"#{THERE_ANCHOR}").is_visible()
    assert "twin B: broken" in " ".join(page.locator(FP32).inner_text().split())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("address", ["", "#env=there", f"#{THERE_ANCHOR}"])
def test_axe_finds_no_violation(reader: Reader, theme: str, address: str) -> None:
    page = reader.open(address, color_scheme=theme, reduced_motion="reduce")
    for details in page.query_selector_all("main details"):
        details.evaluate("one => one.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert reader.complaints == []
