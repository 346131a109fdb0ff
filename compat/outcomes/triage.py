"""From an exception to a reason not to run, for the exceptions that are listed and no others.

transformers wraps every failure of the hub in the same OSError, so the outermost exception says
nothing: the whole chain is read, and the most specific rule that any link of it meets decides.
Only the load boundary asks; what is not listed is a failure.
"""

from __future__ import annotations

from collections.abc import Iterator

from compat.outcomes.reason import CannotRun, Reason
from compat.outcomes.rule import Rule
from compat.outcomes.rules import OUT_OF_MEMORY_RULES, RULES


def triage(exception: BaseException) -> Reason | None:
    """The reason not to run that an exception stands for; None where it is a failure."""
    chain = list(exception_chain(exception))
    for link in chain:
        if isinstance(link, CannotRun):
            return link.reason
    return _first_match(chain, RULES)


def is_out_of_memory(exception: BaseException) -> bool:
    """Whether memory ran out, on a GPU or on this machine: all that is triaged inside a check."""
    return _first_match(list(exception_chain(exception)), OUT_OF_MEMORY_RULES) is not None


def exception_chain(exception: BaseException) -> Iterator[BaseException]:
    """Yield the exception and what it came from, each link once.

    Follows `__cause__`, and `__context__` unless `raise ... from None` has cut it off.
    """
    pending, seen = [exception], set[int]()
    while pending:
        link = pending.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if link.__context__ is not None and not link.__suppress_context__:
            pending.append(link.__context__)
        if link.__cause__ is not None:
            pending.append(link.__cause__)


def _first_match(chain: list[BaseException], rules: tuple[Rule, ...]) -> Reason | None:
    for rule in rules:
        for link in chain:
            reason = rule.match(link)
            if reason is not None:
                return reason
    return None
