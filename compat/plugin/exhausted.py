"""Memory that ran out: given back before anything else is done, for what comes next needs some.

To format a traceback, pytest parses the whole source of a modelling file. With the memory still
taken that fails again, outside of any test, and ends the run.
"""

from __future__ import annotations

import sys
import traceback

import pytest

from compat.outcomes.triage import exception_chain, is_out_of_memory

LAST_LINES = 6


class Exhausted(pytest.fail.Exception):  # type: ignore[name-defined,misc]
    """Memory ran out, and what was taken is given back: `finding` is what was raised."""

    def __init__(self, finding: BaseException) -> None:
        super().__init__(f"{type(finding).__name__}: {finding}", pytrace=False)
        self.finding = finding


def give_back(error: BaseException) -> None:
    """Free what `error` keeps alive, where it is for want of memory; else do nothing.

    Its frames hold what the case had made, or a model that is loaded in part, and the functions
    that they run hold what these close over. So its traceback goes, and the last of its lines
    stay with it as a note.
    """
    if not is_out_of_memory(error):
        return
    where = _last_lines(error)
    for link in tuple(exception_chain(error)):
        traceback.clear_frames(link.__traceback__)
        link.__traceback__ = None
    if "torch" in sys.modules:
        from compat.loading.memory import return_freed_memory

        return_freed_memory()
    error.add_note("".join(where.format()).rstrip())


def _last_lines(error: BaseException) -> traceback.StackSummary:
    """The last lines of its traceback, whose source is not read before they are formatted."""
    steps = traceback.walk_tb(error.__traceback__)
    lines = traceback.StackSummary.extract(steps, lookup_lines=False)
    return traceback.StackSummary.from_list(lines[-LAST_LINES:])
