"""What one pytest item of the suite is about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import pytest

from compat.targets.plan import PlannedTarget
from compat.targets.target import CaseId

if TYPE_CHECKING:
    from compat.checks.registry import Check

SUBJECT = "subject"
"""The fixture whose parameter says which target an item is about."""
CHECK = "compat_check"
"""The fixture that gives a test function the check it is to run."""
OWN_AREA = "own"
"""The area of a person's own test."""

NOTHING: Final = object()
"""The parameter of a test function whose targets are none of the selection."""


@dataclass(frozen=True)
class Asked:
    """What a test function is given: a target, and a check where it runs those of the suite."""

    planned: PlannedTarget
    check: Check | None = None

    @cached_property
    def node_part(self) -> str:
        """What the node id shows of it."""
        if self.check is None:
            return self.planned.target.node_part
        return self.planned.case(self.check).node_part


def asked_of(item: pytest.Item) -> Asked | None:
    """What an item is about; None for a test that is none of the suite's."""
    asked = parameter_of(item)
    return asked if isinstance(asked, Asked) else None


def parameter_of(item: pytest.Item) -> object:
    """The parameter of the item's `subject`; None where it has none."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(SUBJECT)


def area_of(asked: Asked) -> str:
    """The area that an item belongs to."""
    return OWN_AREA if asked.check is None else asked.check.area


def check_name(item: pytest.Item, asked: Asked) -> str:
    """The last part of the item's case id: its check, or for a person's own test its own name."""
    if asked.check is not None:
        return asked.check.name
    function = getattr(item, "originalname", None) or item.name.partition("[")[0]
    others = item.name.partition("[")[2].removesuffix("]").removeprefix(asked.node_part)
    return f"{item.path.stem}.{function}{others}".replace("/", "_")


def case_id(item: pytest.Item, asked: Asked) -> CaseId:
    """The item's case id, by parts."""
    target = asked.planned.target
    return CaseId(
        target.model,
        target.weights,
        target.device,
        target.mode,
        target.wrapper,
        check_name(item, asked),
    )
