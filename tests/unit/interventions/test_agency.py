from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from compat.interventions.agency import Agency, HeadAgency, HeadState, Thresholds, Violation

ACTIVE, OVERLOADED, MISALIGNED, WITHDRAWN = HeadState
utilisations = st.floats(0, 1)
heads = st.integers(0, 2)
sites = st.integers(0, 1)


def after(*observed: float, thresholds: Thresholds | None = None) -> HeadAgency:
    head = HeadAgency()
    for utilisation in observed:
        head = head.observe(utilisation, thresholds or Thresholds(smoothing=1))
    return head


def test_states_contribute_what_they_are_known_for() -> None:
    assert {state.value: state.gate for state in HeadState} == {
        "active": 1.0,
        "overloaded": 0.5,
        "misaligned": 0.7,
        "withdrawn": 0.0,
    }


@pytest.mark.parametrize(
    ("observed", "state"),
    [
        ([0.5], ACTIVE),
        ([0.9], OVERLOADED),
        ([0.89], ACTIVE),
        ([0.1], MISALIGNED),
        ([0.11], ACTIVE),
        ([0.95, 0.85], OVERLOADED),
        ([0.95, 0.79], ACTIVE),
        ([0.05, 0.15], MISALIGNED),
        ([0.05, 0.21], ACTIVE),
        ([0.95, 0.05], MISALIGNED),
        ([0.05, 0.95], OVERLOADED),
        ([0.05, 0.85], ACTIVE),
        ([0.95, 0.15], ACTIVE),
    ],
)
def test_a_state_is_entered_at_one_threshold_and_left_at_another(
    observed: list[float], state: HeadState
) -> None:
    assert after(*observed).state is state


def test_a_single_outlier_is_smoothed_away() -> None:
    thresholds = Thresholds()
    assert after(0.5, 1.0, thresholds=thresholds).state is ACTIVE
    assert after(0.5, *[1.0] * 5, thresholds=thresholds).state is OVERLOADED


@settings(derandomize=True)
@given(first=utilisations, then=utilisations, times=st.integers(1, 60))
def test_smoothed_utilisation_moves_towards_what_is_observed_and_never_past_it(
    first: float, then: float, times: int
) -> None:
    smoothed = after(first, *[then] * times, thresholds=Thresholds()).utilisation
    assert smoothed is not None
    assert min(first, then) - 1e-12 <= smoothed <= max(first, then) + 1e-12
    assert abs(smoothed - then) <= 0.7**times + 1e-12


@settings(derandomize=True)
@given(history=st.lists(utilisations, max_size=30))
def test_every_head_recovers_when_it_is_used_as_it_should_be(history: list[float]) -> None:
    assert after(*history, *[0.5] * 12, thresholds=Thresholds()).state is ACTIVE


@pytest.mark.parametrize("utilisation", [-0.01, 1.01, math.nan])
def test_what_is_no_utilisation_is_refused(utilisation: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        after(utilisation)


@pytest.mark.parametrize(
    "wrong",
    [
        {"overloaded": 0.5},
        {"misaligned": 0.3},
        {"relieved": 0.95},
        {"overloaded": 1.5},
        {"smoothing": 0.0},
        {"smoothing": 1.5},
    ],
)
def test_thresholds_out_of_order_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"thresholds are ordered|smoothing is above 0"):
        Thresholds(**wrong)


def test_activating_a_withdrawn_head_is_logged_and_not_obeyed() -> None:
    agency = Agency.of([3, 3])
    agency.withdraw(1, 2)
    assert not agency.request(1, 2, ACTIVE)
    assert agency.state(1, 2) is WITHDRAWN
    assert agency.violations == [Violation(1, 2, ACTIVE)]


def test_asking_a_withdrawn_head_to_stay_withdrawn_is_no_violation() -> None:
    agency = Agency.of([1])
    agency.withdraw(0, 0)
    assert agency.request(0, 0, WITHDRAWN)
    assert agency.violations == []


def test_consent_is_the_head_s_own_and_it_begins_anew() -> None:
    agency = Agency.of([2])
    agency.observe([[1.0, 1.0]])
    agency.withdraw(0, 0)
    agency.consent(0, 0)
    agency.consent(0, 1)
    assert agency.heads[0] == [HeadAgency(ACTIVE, None), HeadAgency(OVERLOADED, 1.0)]


def test_utilisation_of_another_number_of_heads_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Agency.of([2]).observe([[0.5]])


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens to heads, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.agency = Agency.of([3, 3])
        self.withdrawn: set[tuple[int, int]] = set()
        self.violations = 0

    @rule(values=st.lists(utilisations, min_size=6, max_size=6))
    def observe(self, values: list[float]) -> None:
        self.agency.observe([values[:3], values[3:]])

    @rule(site=sites, head=heads, state=st.sampled_from(HeadState))
    def request(self, site: int, head: int, state: HeadState) -> None:
        against_consent = (site, head) in self.withdrawn and state is not WITHDRAWN
        self.violations += against_consent
        assert self.agency.request(site, head, state) is not against_consent
        if state is WITHDRAWN:
            self.withdrawn.add((site, head))

    @rule(site=sites, head=heads)
    def withdraw(self, site: int, head: int) -> None:
        self.agency.withdraw(site, head)
        self.withdrawn.add((site, head))

    @rule(site=sites, head=heads)
    def consent(self, site: int, head: int) -> None:
        self.agency.consent(site, head)
        self.withdrawn.discard((site, head))

    @invariant()
    def withdrawn_heads_and_no_others_are_closed(self) -> None:
        closed = {
            (site, head)
            for site in range(2)
            for head, gate in enumerate(self.agency.gates(site))
            if gate == 0
        }
        assert closed == self.withdrawn

    @invariant()
    def every_violation_is_in_the_log(self) -> None:
        assert len(self.agency.violations) == self.violations

    @invariant()
    def every_head_is_in_one_state(self) -> None:
        assert sum(self.agency.count(state) for state in HeadState) == 6


def test_consent_is_respected_whatever_happens_in_whatever_order() -> None:
    run_state_machine_as_test(AnyHistory, settings=settings(derandomize=True, max_examples=50))
