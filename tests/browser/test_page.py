"""What only a browser can tell: keys, requests, accessibility, themes, paper, no scripts."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Reader, shown_models
from tests.unit.report.records import CHECKS

Axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="pip install '.[dev]'"
).Axe

PHONE = {"viewport": {"width": 390, "height": 844}}
ROCKET = "#t-rocket-7b-twin-cpu-nf4"
CASES = 6 * len(CHECKS)


@pytest.mark.parametrize("address", ["", "#m-anvil-1b", "#q=anvil&at=t-anvil-1b-twin-cpu-nf4"])
def test_nothing_is_asked_for_and_nothing_is_complained_of(reader: Reader, address: str) -> None:
    page = reader.open(address)
    page.get_by_role("button", name="Theme").evaluate("one => one.click()")
    page.wait_for_load_state("networkidle")
    assert [url.partition("#")[0] for url in reader.requests] == [reader.report.as_uri()]
    assert reader.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("address", "settings"),
    [
        ("", {}),
        ("", PHONE),
        ("#m-anvil-1b", {}),
        (ROCKET, PHONE),
        ("#t-anvil-1b-twin-cpu-nf4:logits_finite", {}),
    ],
    ids=["page", "page-phone", "model", "cell-phone", "case"],
)
def test_axe_finds_no_violation(
    reader: Reader, theme: str, address: str, settings: dict[str, Any]
) -> None:
    page = reader.open(address, color_scheme=theme, reduced_motion="reduce", **settings)
    for details in page.query_selector_all("main details"):
        details.evaluate("one => one.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_keyboard_alone_is_enough(reader: Reader) -> None:
    page = reader.open()
    page.keyboard.press("/")
    page.keyboard.type("anvil")
    assert shown_models(page) == ["anvil-1b"]
    page.keyboard.press("Escape")
    page.wait_for_function("!location.hash")
    page.locator("#table tr[data-model] td a").first.focus()
    start = page.evaluate("document.activeElement.hash")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.hash") != start
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.hash") == start
    page.keyboard.press("Enter")
    page.locator("#sheet").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.locator("#sheet").wait_for(state="hidden")


def test_a_row_opens_to_the_areas_of_its_checks(reader: Reader) -> None:
    page = reader.open()
    button = page.get_by_role("button", name="Areas of anvil-1b")
    button.focus()
    page.keyboard.press("Enter")
    rows = page.locator("#table .sub")
    assert rows.first.locator("th").inner_text() == "loading"
    assert "3/3" in rows.first.inner_text()
    page.keyboard.press("Enter")
    assert rows.count() == 0


def test_the_theme_is_chosen_and_stays_chosen(reader: Reader) -> None:
    page = reader.open(color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Theme").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    assert page.evaluate(paper) == dark


def test_without_scripts_everything_is_there_to_be_read(reader: Reader) -> None:
    page = reader.open(ROCKET, java_script_enabled=False)
    assert page.locator("#filter").is_hidden()
    assert len(shown_models(page)) == 4
    assert page.locator(ROCKET).is_visible()  # a closed details opens for its address
    assert page.locator("#results").is_visible()
    text = page.locator("body").inner_text()
    assert "RuntimeError" in text
    assert "gated here" in text


def test_what_a_model_wrote_never_runs(reader: Reader) -> None:
    page = reader.open(ROCKET)
    assert page.title() == "Model support"
    assert "document.title = 'taken'" in page.locator("#sheet").inner_text()


def test_on_paper_there_is_the_matrix_and_no_control(reader: Reader) -> None:
    page = reader.open(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="light")
    assert page.locator("#table").is_visible()
    assert page.locator("#filter").is_hidden()
    assert page.locator("header nav").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_phone_scrolls_the_matrix_and_not_the_page(reader: Reader) -> None:
    page = reader.open(**PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def downloaded(page: Any, name: str, folder: Path) -> bytes:
    with page.expect_download() as waiting:
        page.locator("#downloads").get_by_text(name, exact=True).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path.read_bytes()


def test_every_result_can_be_downloaded(reader: Reader, tmp_path: Path) -> None:
    page = reader.open()
    packed = json.loads(gzip.decompress(downloaded(page, "JSON, gzipped", tmp_path)))
    assert len(packed["cases"]["case"]) == CASES
    results = json.loads(downloaded(page, "JSON", tmp_path))
    assert len(results) == CASES
    assert results[0].keys() > {"case", "outcome", "execution", "measures"}
    rows = list(csv.DictReader(downloaded(page, "CSV", tmp_path).decode().splitlines()))
    assert [row["case"] for row in rows] == [result["case"] for result in results]
