from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.report.text import (
    byte_size,
    duration,
    is_link,
    measure_label,
    measure_text,
    parameters,
    visible,
)


@given(st.text())
def test_visible_text_holds_nothing_that_a_terminal_or_browser_obeys(text: str) -> None:
    hidden = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    left = {one for one in visible(text) if unicodedata.category(one) in hidden}
    assert left <= {"\n", "\t"}


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_what_is_hidden_is_shown_as_an_escape() -> None:
    assert visible("\x1b[31m \x00 \u202e") == "\\x1b[31m \\x00 \\u202e"


def test_long_text_is_cut_and_says_so() -> None:
    shown = visible("x" * 10_000, 100)
    assert shown == "x" * 100 + " … (10,000 characters in all)"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("load_seconds", 0.0123, "12.3 ms"),
        ("load_seconds", 61.0, "1 min 01 s"),
        ("tokens_per_second", 312.4, "312/s"),
        ("tokens_per_second", 9.87, "9.9/s"),
        ("weights_bytes", 2_470_000_000, "2.47 GB"),
        ("resident_bytes_before", 473_000_000, "473 MB"),
        ("kl_nats", 0.00012, "1.2e-04 nats"),
        ("recital", 1.0, "1"),
        ("top1_agreement", 0.98765, "0.9877"),
        ("blocks", 12_345, "12,345"),
        ("pristine", True, "yes"),
        ("kl_nats", None, "no value"),
        ("cosines", [0.99, 0.5, 1.0], "0.5 to 1 over 3"),
        ("left_out", "<b>\x1b", "<b>\\x1b"),
    ],
)
def test_the_unit_of_a_measure_is_a_word_of_its_name(
    name: str, value: float | list[float] | None, text: str
) -> None:
    assert measure_text(name, value) == text


def test_the_label_of_a_measure_does_not_repeat_its_unit() -> None:
    assert measure_label("peak_rss_bytes") == "peak resident memory"
    assert measure_label("tokens_per_second") == "tokens"
    assert measure_label("resident_bytes_before") == "resident memory before"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (124_439_808, "124M"),
        (999_499_999, "999M"),
        (999_500_000, "1B"),
        (1_235_814_400, "1.24B"),
        (671_026_419_200, "671B"),
    ],
)
def test_parameter_counts_read_as_on_model_cards(count: int, text: str) -> None:
    assert parameters(count) == text


def test_sizes_are_decimal_and_durations_have_a_suiting_unit() -> None:
    assert byte_size(1e9) == "1 GB"
    assert byte_size(512) == "512 B"
    assert duration(3725) == "1 h 02 min"


@pytest.mark.parametrize(
    ("address", "links"),
    [
        ("https://github.com/a/b/issues/1849", True),
        ("javascript:alert(1)", False),
        ("https://x.org/\" onclick='x'", False),
        ("https://x.org/a)](javascript:1)", False),
        ("data:text/html,x", False),
        ("", False),
    ],
)
def test_only_plain_web_addresses_become_links(address: str, links: bool) -> None:
    assert is_link(address) is links
