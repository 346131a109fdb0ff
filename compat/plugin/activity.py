"""What each process of a run is doing, told from the records that it writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from compat.outcomes import Stage
from compat.results.follow import Follower
from compat.results.record import CaseStartRecord
from compat.targets.target import BARE, CaseId

SECONDS_WORTH_A_LINE = 10.0


@dataclass(frozen=True)
class Activity:
    """A stage of a case, and for how long a process has been in it."""

    worker: str
    case: CaseId
    stage: Stage
    seconds: float = 0.0
    """In this stage of this case."""
    seconds_for_target: float = 0.0
    """In this stage of the target, whichever of its cases."""
    resident: int = 0
    """Resident memory of the process, in bytes."""

    @property
    def target(self) -> str:
        """The target in words."""
        return in_words(self.case)

    @property
    def doing(self) -> str:
        """The stage, and the check where it is one that runs."""
        return f"check {self.case.check}" if self.stage is Stage.CHECK else str(self.stage)


def in_words(case: CaseId) -> str:
    """The target of a case in words: `gpt2 twin cpu nf4`."""
    wrapper = "" if case.wrapper == BARE else f" {case.wrapper}"
    return f"{case.model} {case.weights} {case.device} {case.mode}{wrapper}"


class Observed:
    """A process, seen from outside: what it has last written that it began, and its memory."""

    def __init__(
        self,
        worker: str,
        pid: int,
        records: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._pid = pid
        self._follower = Follower(records)
        self._clock = clock
        self._seen: CaseStartRecord | None = None
        self._activity: Activity | None = None
        self._since = self._since_for_target = 0.0
        self._told = False

    def look(self) -> Activity | None:
        """What it is doing now; None where it has begun nothing, and where it is gone."""
        now = self._clock()
        start = self._follower.open_case()
        if start is not None and start != self._seen:
            self._seen = start
            self._turn_to(Activity(self._worker, CaseId.parse(start.case), start.stage), now)
        if self._activity is None:
            return None
        try:
            resident = psutil.Process(self._pid).memory_info().rss
        except psutil.Error:  # it has ended
            return None
        return replace(
            self._activity,
            seconds=now - self._since,
            seconds_for_target=now - self._since_for_target,
            resident=resident,
        )

    def _turn_to(self, activity: Activity, now: float) -> None:
        before, self._activity, self._since = self._activity, activity, now
        of_target = (activity.case.target, activity.stage)
        if before is None or (before.case.target, before.stage) != of_target:
            self._since_for_target, self._told = now, False

    def tell_once(self, activity: Activity) -> bool:
        """Whether a stage of a target has just become so long that it is worth a line."""
        if self._told or activity.seconds_for_target < SECONDS_WORTH_A_LINE:
            return False
        self._told = True
        return True
