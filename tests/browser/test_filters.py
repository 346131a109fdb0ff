"""The filters of the matrix, and that the address holds them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Reader, shown_models

EVERYTHING = ["anvil-1b", "rocket-7b", "well-3b", "shed-small"]
CASES = [
    ("q", "anvil", ["anvil-1b"]),
    ("q", "heavy", ["anvil-1b"]),
    ("q", "ACME broken", ["rocket-7b"]),
    ("q", "zeppelin", []),
    ("q", "barn", ["well-3b", "shed-small"]),
    ("family", "rocket", ["rocket-7b", "well-3b"]),
    ("class", "seq2seq", ["shed-small"]),
    ("mode", "nf4", EVERYTHING),
    ("device", "cpu", EVERYTHING),
    ("weights", "hub", ["anvil-1b"]),
    ("outcome", "works", ["anvil-1b"]),
    ("outcome", "failed", ["rocket-7b"]),
    ("outcome", "known_failure", ["shed-small"]),
    ("outcome", "blocked_here", ["anvil-1b", "well-3b"]),
    ("outcome", "crashed", []),
    ("reason", "access", ["anvil-1b"]),
    ("reason", "environment", ["well-3b"]),
    ("fits", "1", ["anvil-1b", "shed-small"]),
    ("fits", "4", ["anvil-1b", "rocket-7b", "well-3b", "shed-small"]),
    ("changed", "1", ["anvil-1b", "rocket-7b", "shed-small"]),
]


def use(page: Any, name: str, value: str) -> None:
    control = page.locator(f"#filter [name={name}]")
    if name == "changed":
        control.check()
    elif control.evaluate("one => one.tagName") == "SELECT":
        control.select_option(value)
    else:
        control.fill(value)


@pytest.mark.parametrize(("name", "value", "expected"), CASES)
def test_a_filter_keeps_the_models_with_a_cell_that_matches(
    reader: Reader, name: str, value: str, expected: list[str]
) -> None:
    page = reader.open()
    use(page, name, value)
    assert shown_models(page) == expected
    assert page.locator("#none").is_visible() is not bool(expected)
    address = page.url.partition("#")[2]
    assert shown_models(reader.open(f"#{address}")) == expected


def test_without_a_filter_every_model_is_there(reader: Reader) -> None:
    page = reader.open()
    assert shown_models(page) == EVERYTHING
    assert page.locator("#shown").text_content() == ""


def test_filters_hold_together_for_one_cell(reader: Reader) -> None:
    page = reader.open("#mode=nf4&outcome=works")
    assert shown_models(page) == ["anvil-1b"]
    assert shown_models(reader.open("#mode=bf16&outcome=works")) == []


def test_a_mode_leaves_its_column_alone(reader: Reader) -> None:
    page = reader.open("#mode=nf4")
    heads = page.locator("#table thead th[data-mode]")
    visible = [heads.nth(at) for at in range(heads.count()) if heads.nth(at).is_visible()]
    assert [head.get_attribute("data-mode") for head in visible] == ["nf4"]


def test_cells_beside_the_filter_fade(reader: Reader) -> None:
    page = reader.open("#outcome=failed")
    faded = page.locator("tr[data-model=m-rocket-7b] td.unmatched")
    assert faded.count() == page.locator("#table thead th[data-mode]").count() - 1


def test_other_sections_follow_the_filter(reader: Reader) -> None:
    page = reader.open("#q=shed")
    assert page.locator("#m-shed-small").is_visible()
    assert page.locator("#m-anvil-1b").is_hidden()
    assert page.locator("#known .finding").is_visible()
    assert page.locator("#failures .finding").is_hidden()


def test_clear_forgets_every_filter(reader: Reader) -> None:
    page = reader.open("#q=anvil&mode=nf4")
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("!location.hash")
    assert shown_models(page) == EVERYTHING


def test_typing_is_no_step_in_the_history(reader: Reader) -> None:
    page = reader.open()
    before = page.evaluate("history.length")
    page.locator("[name=q]").press_sequentially("anvil")
    assert page.evaluate("history.length") == before
