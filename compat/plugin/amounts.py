"""Options that are an amount: what may be downloaded, and how much may be skipped."""

from __future__ import annotations

import math

from compat.plugin.skip_budget import SkipBudget
from compat.targets.selection import SelectionError

ANY = "any"
"""Consent without a limit: what --compat-download stands for alone."""


def download_allowed(option: str | None, setting: str) -> float | None:
    """GB that may be downloaded: as the command line says, else the ini file; None: nothing.

    Raises SelectionError.
    """
    given = option or setting
    if not given:
        return None
    if given == ANY:
        return math.inf
    try:
        size = float(given)
    except ValueError:
        size = -1.0
    if not 0 <= size < math.inf:
        raise SelectionError(
            f"--compat-download: {given!r} is no number of GB; write --compat-download=GB, or give "
            "the tests first"
        )
    return size


def skips_allowed(option: str | None) -> SkipBudget | None:
    """How many cases may be skipped; None: any number. Raises SelectionError."""
    if option is None:
        return None
    try:
        return SkipBudget.parse(option)
    except ValueError:
        raise SelectionError(
            f"--compat-max-skips: {option!r} is neither a number of cases nor a share such as 10%"
        ) from None
