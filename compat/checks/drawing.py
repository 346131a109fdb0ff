"""Properties that hold for anything that can be drawn: hypothesis, the same examples every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from compat.targets import Weights

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from compat.subject import Subject

TIMES_AS_MANY = 5
"""For real weights, of which there is one and not a twin in every mode."""

Property = Callable[..., None]
"""Raises for an example that does not have it; its message names the example."""


def for_any(subject: Subject, *, few: int) -> Callable[..., None]:
    """Hold a property against drawn examples: `few` for a twin, more for other weights.

    What is raised is what the smallest example that fails raises. Nothing is left to chance or
    kept, so that a case's command finds the same example again.
    """
    from hypothesis import HealthCheck, Phase, given, settings

    number = few if subject.target.weights is Weights.TWIN else few * TIMES_AS_MANY

    def hold(has_property: Property, *drawn: SearchStrategy[Any]) -> None:
        settings(
            max_examples=number,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )(given(*drawn)(has_property))()

    return hold
