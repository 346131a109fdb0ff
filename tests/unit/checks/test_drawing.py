from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import strategies

from compat.checks.drawing import TIMES_AS_MANY, for_any
from compat.targets import Weights

NUMBERS = strategies.lists(strategies.integers(0, 1000))


def subject_of(weights: Weights) -> Any:
    return SimpleNamespace(target=SimpleNamespace(weights=weights))


def drawn(weights: Weights, few: int) -> list[list[int]]:
    seen: list[list[int]] = []
    for_any(subject_of(weights), few=few)(lambda numbers: seen.append(numbers), NUMBERS)
    return seen


def test_the_same_examples_are_drawn_every_time() -> None:
    assert drawn(Weights.TWIN, 8) == drawn(Weights.TWIN, 8)


def test_twins_are_held_against_few_examples_and_other_weights_against_more() -> None:
    assert len(drawn(Weights.TWIN, 8)) <= 8
    assert 8 < len(drawn(Weights.LOCAL, 8)) <= 8 * TIMES_AS_MANY


def test_what_is_raised_is_what_the_smallest_example_raises() -> None:
    def holds_no_large_number(numbers: list[int]) -> None:
        assert all(number < 500 for number in numbers), f"{numbers} holds a large number"

    with pytest.raises(AssertionError, match=r"^\[500\] holds a large number"):
        for_any(subject_of(Weights.LOCAL), few=40)(holds_no_large_number, NUMBERS)
