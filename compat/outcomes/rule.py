"""One exception that means a reason not to run: how it is known, and what it means.

Classes are compared by name along the inheritance, which keeps torch and the hub's client out of
this room.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from compat.outcomes.reason import Reason, ReasonCode


@dataclass(frozen=True)
class Rule:
    """A listed exception: how it is known, and what it means.

    `{0}` in `text` and `action` is the first group that `message` captured: it names a package.
    """

    code: ReasonCode
    text: str
    action: str
    classes: tuple[str, ...]
    """Class names, of which one is in the exception's inheritance."""
    message: str | None = None
    """Regular expression searched in the message."""
    status: range | None = None
    """HTTP status of the response that the exception carries."""
    error_numbers: tuple[int, ...] | None = None
    """`errno` of an OSError."""

    def match(self, exception: BaseException) -> Reason | None:
        """The reason, where the exception is this rule's."""
        names = {base.__name__ for base in type(exception).__mro__}
        if names.isdisjoint(self.classes):
            return None
        if self.status is not None and _status(exception) not in self.status:
            return None
        if self.error_numbers is not None and _error_number(exception) not in self.error_numbers:
            return None
        found = None if self.message is None else re.search(self.message, str(exception))
        if self.message is not None and found is None:
            return None
        groups = found.groups() if found is not None else ()
        text = self.text.format(*groups) + _how_long(exception)
        return Reason(self.code, text, self.action.format(*groups))


def _status(exception: BaseException) -> int | None:
    status = getattr(getattr(exception, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _how_long(exception: BaseException) -> str:
    """How long the hub asks to be left alone; empty where it does not say."""
    headers = getattr(getattr(exception, "response", None), "headers", {})
    seconds = headers.get("Retry-After", "")
    return f", and asks to wait {seconds} s" if seconds.isdecimal() else ""


def _error_number(exception: BaseException) -> int | None:
    return exception.errno if isinstance(exception, OSError) else None
