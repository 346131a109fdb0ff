"""Cases that come to different ends where nothing has changed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from compat.outcomes import Outcome
from compat.results.merge import moment
from compat.results.record import CaseRecord

_WELL = frozenset({Outcome.PASSED, Outcome.FIXED})
TURNS = 2
"""One change may be a fault that came, or one that was mended; a second one is neither."""


def flaky_cases(cases: Iterable[CaseRecord]) -> frozenset[str]:
    """Ids of the cases that pass and fail by turns, in one environment and with the same weights.

    By turns is: within one run both, or over several runs at least twice another way than before.
    """
    series: dict[tuple[str, str, str | None], list[CaseRecord]] = {}
    for case in cases:
        if case.outcome is not Outcome.SKIPPED:
            series.setdefault((case.case, case.environment, case.revision), []).append(case)
    return frozenset(name for (name, *_), found in series.items() if _by_turns(found))


def _by_turns(cases: list[CaseRecord]) -> bool:
    ordered = sorted(cases, key=lambda case: (moment(case.started), case.execution))
    turns = [
        (earlier, later)
        for earlier, later in pairwise(ordered)
        if (earlier.outcome in _WELL) is not (later.outcome in _WELL)
    ]
    return len(turns) >= TURNS or any(earlier.run == later.run for earlier, later in turns)
