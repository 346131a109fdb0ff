"""The slope of a loss, by central differences."""

from __future__ import annotations

import pytest

from compat.subject.slope import slope_along


def test_the_slope_of_a_straight_line_and_of_a_parabola_is_exact() -> None:
    assert slope_along(lambda step: 3 * step + 1, size=2.0, expected=3.0) == pytest.approx(3)
    assert slope_along(lambda step: step + step**2, size=2.0, expected=1.0) == pytest.approx(1)


def test_a_jump_that_a_smaller_step_does_not_reach_is_passed_over() -> None:
    slope = slope_along(lambda step: step + (step > 0.005), size=1.0, expected=1.0)
    assert slope == pytest.approx(1)


def test_a_wrong_expectation_is_not_met() -> None:
    assert slope_along(lambda step: 3 * step, size=1.0, expected=1.0) == pytest.approx(3)
