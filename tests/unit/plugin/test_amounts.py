"""What may be downloaded, and how much may be skipped."""

from __future__ import annotations

import math

import pytest

from compat.plugin.amounts import ANY, download_allowed, skips_allowed
from compat.targets.selection import SelectionError


@pytest.mark.parametrize(
    ("option", "setting", "allowed"),
    [
        (None, "", None),
        (ANY, "", math.inf),
        ("20", "", 20.0),
        (None, "any", math.inf),
        (None, "0.5", 0.5),
        ("1", "50", 1.0),
    ],
)
def test_the_command_line_goes_before_the_setting(
    option: str | None, setting: str, allowed: float | None
) -> None:
    assert download_allowed(option, setting) == allowed


@pytest.mark.parametrize("given", ["tests/test_compat.py", "-1", "much", "nan", "inf"])
def test_what_is_no_amount_is_a_usage_error(given: str) -> None:
    with pytest.raises(SelectionError, match="no number of GB"):
        download_allowed(given, "")


@pytest.mark.parametrize(
    ("budget", "skipped", "cases", "allowed"),
    [
        ("0", 0, 10, True),
        ("0", 1, 10, False),
        ("3", 3, 10, True),
        ("10%", 1, 10, True),
        ("10%", 2, 10, False),
        ("0%", 0, 0, True),
        ("2.5%", 1, 40, True),
    ],
)
def test_a_budget_is_a_number_or_a_share(
    budget: str, skipped: int, cases: int, allowed: bool
) -> None:
    found = skips_allowed(budget)
    assert found is not None
    assert found.allows(skipped, cases) is allowed
    assert str(found) == budget


@pytest.mark.parametrize("given", ["few", "-1", "101%", "1.5", ""])
def test_what_is_no_budget_is_a_usage_error(given: str) -> None:
    with pytest.raises(SelectionError, match="--compat-max-skips"):
        skips_allowed(given)
