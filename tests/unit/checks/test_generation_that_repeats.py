"""Weights that repeat themselves until the last token say nothing new by which to stop before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from compat.checks.generation import stops_at_given_token

SAID = [5, 5, 5, 5, 7]


def subject(*, heeds: bool) -> Any:
    def generate(_prompt: object, *, eos_token_id: int) -> Any:
        end = SAID.index(eos_token_id) + 1 if heeds else len(SAID)
        return SimpleNamespace(row=lambda: SAID[:end])

    return SimpleNamespace(
        greedy=SimpleNamespace(row=lambda: SAID),
        text=SimpleNamespace(prompt=lambda: None),
        generate=generate,
    )


def test_generation_that_stops_passes() -> None:
    stops_at_given_token(subject(heeds=True))


def test_generation_that_goes_on_to_its_last_token_is_no_generation_that_stops() -> None:
    with pytest.raises(AssertionError, match="where token 5 is the end of"):
        stops_at_given_token(subject(heeds=False))
