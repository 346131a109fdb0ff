"""The wrappers that a run can ask for: this suite's, and those that others offer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import pytest

from compat.targets.selection import SelectionError

if TYPE_CHECKING:
    from compat.wrappers import Wrapper

    WrapperFactory: TypeAlias = Callable[[], Wrapper]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def own_wrappers() -> Mapping[str, WrapperFactory]:
    """What comes with the suite."""
    return {"bare": _bare, "adaptive": _adaptive}


def _bare() -> Wrapper:
    from compat.wrappers import Bare

    return Bare()


def _adaptive() -> Wrapper:
    from compat.wrappers.adaptive import Adaptive

    return Adaptive()


def offered_wrappers(config: pytest.Config) -> dict[str, WrapperFactory]:
    """Everything that `pytest_compat_wrappers` gives, in the order of registration.

    Raises SelectionError where two have one name, or a name can't stand in a node id.
    """
    found: dict[str, WrapperFactory] = {}
    for offered in reversed(config.hook.pytest_compat_wrappers(config=config)):
        for name, factory in offered.items():
            if name in found:
                raise SelectionError(f"pytest_compat_wrappers: two wrappers are called {name!r}")
            if not _NAME.fullmatch(name):
                raise SelectionError(
                    f"pytest_compat_wrappers: {name!r} is not lower case with hyphens"
                )
            found[name] = factory
    return found


def wrappers_named(text: str | None, offered: Mapping[str, WrapperFactory]) -> tuple[str, ...]:
    """The wrappers in a comma-separated list; `bare` where there is none.

    Raises SelectionError for a name that nobody offers.
    """
    names = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for name in names:
        if name not in offered:
            raise SelectionError(f"--compat-wrapper: {name!r} is none of {', '.join(offered)}")
    return tuple(dict.fromkeys(names)) or ("bare",)
