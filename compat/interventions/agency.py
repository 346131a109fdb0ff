"""Agency: heads with states of their own, that change by utilisation and by consent.

Nothing here knows of a model: states in, gates out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum


class HeadState(StrEnum):
    """How a head says it is doing."""

    ACTIVE = "active"
    OVERLOADED = "overloaded"
    """Its attention has narrowed to hardly more than one key, lastingly."""
    MISALIGNED = "misaligned"
    """Its attention selects hardly anything, lastingly."""
    WITHDRAWN = "withdrawn"
    """It has withdrawn its consent to being used."""

    @property
    def gate(self) -> float:
        """What a head in this state contributes, as a share of what it would."""
        return _GATES[self]


_GATES = {
    HeadState.ACTIVE: 1.0,
    HeadState.OVERLOADED: 0.5,
    HeadState.MISALIGNED: 0.7,
    HeadState.WITHDRAWN: 0.0,
}


@dataclass(frozen=True)
class Thresholds:
    """By which smoothed utilisation, between 0 and 1, a head changes its state.

    Entering and leaving a state have thresholds apart, so that a head near one does not flicker.
    Raises ValueError where they are not in order.
    """

    overloaded: float = 0.9
    """From here on up a head is overloaded..."""
    relieved: float = 0.8
    """... until it is below here."""
    misaligned: float = 0.1
    """From here on down a head is misaligned..."""
    realigned: float = 0.2
    """... until it is above here."""
    smoothing: float = 0.3
    """Weight of the newest observation in the smoothed utilisation."""

    def __post_init__(self) -> None:
        if not 0 <= self.misaligned < self.realigned <= self.relieved < self.overloaded <= 1:
            raise ValueError(
                "thresholds are ordered 0 <= misaligned < realigned <= relieved < overloaded <= 1"
            )
        if not 0 < self.smoothing <= 1:
            raise ValueError(f"smoothing is above 0 and at most 1, not {self.smoothing}")

    def next_state(self, state: HeadState, utilisation: float) -> HeadState:
        """The state of a head at this smoothed utilisation that was in `state` before."""
        if state is HeadState.WITHDRAWN:
            return state
        if utilisation >= self.overloaded:
            return HeadState.OVERLOADED
        if utilisation <= self.misaligned:
            return HeadState.MISALIGNED
        if state is HeadState.OVERLOADED and utilisation >= self.relieved:
            return state
        if state is HeadState.MISALIGNED and utilisation <= self.realigned:
            return state
        return HeadState.ACTIVE


@dataclass(frozen=True)
class HeadAgency:
    """A head's state, and the smoothed utilisation that it follows from."""

    state: HeadState = HeadState.ACTIVE
    utilisation: float | None = None
    """None before the first observation."""

    def observe(self, utilisation: float, thresholds: Thresholds) -> HeadAgency:
        """The head after one more observation; a withdrawn one is not looked at.

        Raises ValueError for a utilisation that is not between 0 and 1.
        """
        if not 0 <= utilisation <= 1:
            raise ValueError(f"a utilisation is between 0 and 1, not {utilisation}")
        if self.state is HeadState.WITHDRAWN:
            return self
        before = utilisation if self.utilisation is None else self.utilisation
        smoothed = before + thresholds.smoothing * (utilisation - before)
        return HeadAgency(thresholds.next_state(self.state, smoothed), smoothed)


@dataclass(frozen=True)
class Violation:
    """Somebody wanted to use a head that has withdrawn its consent."""

    site: int
    head: int
    requested: HeadState


@dataclass
class Agency:
    """The heads of a model, by site, and the log of what was done against their consent."""

    heads: list[list[HeadAgency]]
    thresholds: Thresholds = field(default_factory=Thresholds)
    violations: list[Violation] = field(default_factory=list)

    @classmethod
    def of(cls, heads: Sequence[int], thresholds: Thresholds | None = None) -> Agency:
        """All heads active; `heads` is their number at each site."""
        active = [[HeadAgency()] * number for number in heads]
        return cls(active, thresholds or Thresholds())

    def state(self, site: int, head: int) -> HeadState:
        """The state of one head."""
        return self.heads[site][head].state

    def gates(self, site: int) -> list[float]:
        """The gates of one site that follow from the states of its heads."""
        return [head.state.gate for head in self.heads[site]]

    def count(self, state: HeadState) -> int:
        """How many heads are in a state."""
        return sum(head.state is state for own in self.heads for head in own)

    def observe(self, utilisation: Sequence[Sequence[float]]) -> None:
        """Let every head take in its utilisation; raises ValueError as `HeadAgency` does."""
        self.heads = [
            [head.observe(value, self.thresholds) for head, value in zip(own, values, strict=True)]
            for own, values in zip(self.heads, utilisation, strict=True)
        ]

    def request(self, site: int, head: int, state: HeadState) -> bool:
        """Ask a head to be in a state; whether it is.

        Withdrawn, it stays so, and what was asked of it is logged as a violation.
        """
        own = self.heads[site][head]
        if own.state is HeadState.WITHDRAWN and state is not HeadState.WITHDRAWN:
            self.violations.append(Violation(site, head, state))
            return False
        self.heads[site][head] = replace(own, state=state)
        return True

    def withdraw(self, site: int, head: int) -> None:
        """Withdraw a head's consent: it contributes nothing until it consents again."""
        self.heads[site][head] = HeadAgency(HeadState.WITHDRAWN)

    def consent(self, site: int, head: int) -> None:
        """A withdrawn head's own consent: it begins anew, active. Others are not changed."""
        if self.state(site, head) is HeadState.WITHDRAWN:
            self.heads[site][head] = HeadAgency()
