"""Exceptions of which pytest formats no traceback, because nobody has to read it.

Formatting one takes longer than most checks, since the whole source of a modelling file is parsed
for it, and there are thousands of them on a machine without a GPU.
"""

from __future__ import annotations

import pytest


class Foreseen(pytest.skip.Exception):  # type: ignore[name-defined,misc]
    """A skip or a known failure: `finding` is what was raised."""

    def __init__(self, finding: BaseException) -> None:
        super().__init__(str(finding))
        self.finding = finding


class ShownBefore(pytest.fail.Exception):  # type: ignore[name-defined,misc]
    """How a target could not be loaded, whose first case has shown the traceback."""

    def __init__(self, finding: BaseException) -> None:
        name = type(finding).__name__
        super().__init__(f"{name}: {finding}\n(shown with the target's first case)", pytrace=False)
        self.finding = finding
