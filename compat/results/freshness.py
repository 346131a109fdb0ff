"""How old results are, and from when on nobody should rely on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from compat.results.merge import moment
from compat.results.record import CaseRecord, Record, RunRecord

STALE_AFTER = timedelta(days=30)


@dataclass(frozen=True)
class Age:
    """The age of a target's results: that of the oldest, for its verdict rests on all of them."""

    days: int
    stale: bool

    def __str__(self) -> str:
        match self.days:
            case 0:
                return "today"
            case 1:
                return "1 day old"
            case days:
                return f"{days} days old"


@dataclass(frozen=True)
class Freshness:
    """By which clock results age, and how long they last."""

    now: datetime
    stale_after: timedelta = STALE_AFTER

    @classmethod
    def of(cls, records: Iterable[Record], stale_after: timedelta = STALE_AFTER) -> Freshness:
        """As the newest of `records` sees it: the same for the same records on any day."""
        moments = (
            moment(record.started)
            for record in records
            if isinstance(record, RunRecord | CaseRecord)
        )
        return cls(max(moments, default=moment("")), stale_after)

    def age(self, cases: Iterable[CaseRecord]) -> Age | None:
        """The age of the oldest of `cases`; None where there is none, or none with a date."""
        unknown = moment("")
        dates = [at for case in cases if (at := moment(case.started)) > unknown]
        if not dates:
            return None
        # The clocks of two machines differ: what comes from the future is new.
        age = max(self.now - min(dates), timedelta())
        return Age(age.days, age > self.stale_after)
