"""`@pytest.mark.compat(modes=..., weights=..., models=...)` on a person's own test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from compat.plugin.marks import COMPAT
from compat.plugin.session import CompatSession
from compat.targets import Mode, Weights
from compat.targets.plan import PlannedTarget
from compat.targets.selection import SelectionError, one_of

ALLOWED = ("modes", "weights", "models")


@dataclass(frozen=True)
class Limits:
    """The targets that a test is about; None where its mark does not say."""

    modes: frozenset[Mode] | None = None
    weights: frozenset[Weights] | None = None
    models: frozenset[str] | None = None
    """Hub ids."""

    @classmethod
    def of(cls, definition: pytest.Function, session: CompatSession) -> Limits:
        """Read the mark of a test. Raises SelectionError for what does not exist."""
        mark = definition.get_closest_marker(COMPAT)
        if mark is None:
            return cls()
        where = f"{definition.nodeid}: @pytest.mark.{COMPAT}"
        given = _keywords(mark, where)
        modes, weights, models = (given.get(name) for name in ALLOWED)
        return cls(
            modes=None if modes is None else frozenset(one_of(Mode, m, where) for m in modes),
            weights=(
                None if weights is None else frozenset(one_of(Weights, w, where) for w in weights)
            ),
            models=None if models is None else frozenset(session.ids_of(models, where)),
        )

    def allow(self, planned: PlannedTarget) -> bool:
        """Whether the test is about this target."""
        target = planned.target
        return (
            (self.modes is None or target.mode in self.modes)
            and (self.weights is None or target.weights in self.weights)
            and (self.models is None or target.model in self.models)
        )


def _keywords(mark: pytest.Mark, where: str) -> dict[str, Sequence[Any]]:
    wrong = [*map(repr, mark.args), *(name for name in mark.kwargs if name not in ALLOWED)]
    if wrong:
        raise SelectionError(f"{where} takes {', '.join(ALLOWED)} by name, not {', '.join(wrong)}")
    return {
        name: (value,) if isinstance(value, str) else tuple(value)
        for name, value in mark.kwargs.items()
    }
