"""What failures have in common: the same fault shows with other figures in every model."""

from __future__ import annotations

import re

from compat.results.record import CaseRecord, FailureRecord

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def first_line(failure: FailureRecord) -> str:
    """The line of a message that names the fault; what follows are details."""
    return failure.message.strip().split("\n", 1)[0]


def signature(case: CaseRecord) -> tuple[str, ...]:
    """The same for cases that came to the same end for the same reason, numbers left aside."""
    if case.failure is not None:
        line = NUMBER.sub("#", first_line(case.failure))
        return str(case.outcome), case.failure.type, line
    if case.reason is not None:
        return str(case.outcome), case.reason.code, NUMBER.sub("#", case.reason.text)
    return (str(case.outcome),)
