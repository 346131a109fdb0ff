"""The suite as a test: `from compat.suite import test_check` in any test module runs it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.runner import run_check

if TYPE_CHECKING:
    from compat.checks.registry import Check
    from compat.runner import AnySubject

__all__ = ["test_check"]


def test_check(subject: AnySubject, compat_check: Check) -> None:
    """One check over one target."""
    __tracebackhide__ = True
    run_check(compat_check, subject)
