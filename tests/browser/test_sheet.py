"""Deep links: a model, a cell and a case have an address, and the sheet shows them."""

from __future__ import annotations

from tests.browser.conftest import Reader

ANVIL_NF4 = "t-anvil-1b-twin-cpu-nf4"
ROCKET = "t-rocket-7b-twin-cpu-nf4"


def test_an_address_opens_its_cell_alone(reader: Reader) -> None:
    page = reader.open(f"#{ROCKET}")
    sheet = page.locator("#sheet")
    assert sheet.is_visible()
    assert page.locator(f"#{ROCKET}").is_visible()
    assert sheet.locator(".target:visible").count() == 1
    assert "rocket-7b" in sheet.get_attribute("aria-label")


def test_a_cell_keeps_the_filter_beside_it(reader: Reader) -> None:
    page = reader.open("#q=rocket")
    page.locator(f"#table a[href='#{ROCKET}']").click()
    page.locator("#sheet").wait_for(state="visible")
    assert page.url.endswith(f"#q=rocket&at={ROCKET}")
    page.get_by_role("button", name="Close").click()
    assert page.url.endswith("#q=rocket")


def test_the_page_of_a_model_shows_its_anatomy_and_its_checks(reader: Reader) -> None:
    page = reader.open("#m-anvil-1b")
    sheet = page.locator("#sheet")
    assert sheet.locator(".drawing").is_visible()
    assert "model.layers.0 … 15" in sheet.locator(".drawing").inner_text()
    assert 'model.get_submodule("model.layers.8")' in sheet.locator(".hook").first.inner_text()
    assert sheet.locator(".grid").is_visible()


def test_the_column_of_the_cell_stands_out_among_the_modes(reader: Reader) -> None:
    page = reader.open(f"#{ANVIL_NF4}")
    head = page.locator("#sheet .grid thead .at")
    assert head.get_attribute("data-t") == ANVIL_NF4
    assert page.locator("#sheet .grid thead th").count() == 4  # check, hub, and twice the twin


def test_evidence_of_different_weights_shares_no_cell(reader: Reader) -> None:
    page = reader.open("#m-anvil-1b")
    row = page.locator("#sheet .grid .c").first
    assert row.locator("td").all_inner_texts() == ["skipped", "passed"]


def test_a_case_has_an_address_with_its_record_and_its_command(reader: Reader) -> None:
    page = reader.open(f"#{ANVIL_NF4}:logits_finite")
    case = page.locator("#sheet .case")
    case.wait_for()
    text = case.inner_text()
    assert "acme/anvil-1b/twin/cpu/nf4/bare/logits_finite" in text
    assert "pytest 'tests/test_compat.py::test_check[anvil-1b-twin-cpu-nf4-logits_finite]'" in text
    assert "record r2-main-0-anvil-1b-twin-cpu-nf4-logits_finite" in text


def test_what_failed_is_there_with_reason_trace_and_command(reader: Reader) -> None:
    text = reader.open(f"#{ROCKET}").locator("#sheet").inner_text()
    assert "RuntimeError" in text
    assert "rocket-7b-twin-cpu-nf4-no_missing_keys]'" in text


def test_back_closes_the_sheet_and_puts_the_article_back(reader: Reader) -> None:
    page = reader.open()
    page.locator(f"#table a[href='#{ROCKET}']").click()
    page.locator("#sheet").wait_for(state="visible")
    page.go_back()
    page.locator("#sheet").wait_for(state="hidden")
    assert page.locator("main #m-rocket-7b").count() == 1


def test_escape_closes_the_sheet_and_gives_the_cell_its_focus_back(reader: Reader) -> None:
    page = reader.open()
    page.locator(f"#table a[href='#{ROCKET}']").click()
    page.locator("#sheet").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.locator("#sheet").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.hash") == f"#{ROCKET}"


def test_the_strip_leads_from_cell_to_cell(reader: Reader) -> None:
    page = reader.open(f"#{ANVIL_NF4}")
    page.locator("#sheet .cells a", has_text="fp32 · twin").click()
    page.locator("#t-anvil-1b-twin-cpu-fp32").wait_for(state="visible")
    assert page.locator(f"#{ANVIL_NF4}").is_hidden()
    assert page.locator("#sheet .cells [aria-current]").inner_text() == "fp32 · twin"


def test_an_address_of_a_section_leads_there(reader: Reader) -> None:
    page = reader.open("#skips")
    assert page.locator("#sheet").is_hidden()
    assert page.locator("#skips").is_visible()


def test_an_address_of_nothing_is_no_harm(reader: Reader) -> None:
    page = reader.open("#t-never-was")
    assert page.locator("#table").is_visible()
    assert reader.complaints == []


def test_a_command_can_be_copied(reader: Reader) -> None:
    page = reader.open(f"#{ANVIL_NF4}", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#sheet .reproduce button:visible").first.click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("pytest 'tests/")
