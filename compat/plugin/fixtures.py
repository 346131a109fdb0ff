"""The fixtures: `subject` for everybody, `compat_check` for `test_check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.plugin.session import SESSION

if TYPE_CHECKING:
    from compat.checks.registry import Check
    from compat.runner import AnySubject


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> AnySubject:
    """A loaded target. Restrict which with `@pytest.mark.compat(modes=, weights=, models=)`."""
    __tracebackhide__ = True
    return request.config.stash[SESSION].holder.subject(request.param.planned)


@pytest.fixture
def compat_check(request: pytest.FixtureRequest) -> Check:
    """The check of this case: for `compat.suite.test_check`."""
    from compat.plugin.case import asked_of

    asked = asked_of(request.node)
    if asked is None or asked.check is None:
        raise pytest.UsageError("compat_check comes with the fixture `subject`: ask for both")
    return asked.check
