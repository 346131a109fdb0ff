"""How long targets will take: what records say of them, and guesses for the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import mean

from compat.outcomes import Outcome
from compat.results.record import CaseRecord, Record
from compat.targets import Weights
from compat.targets.plan import PlannedTarget
from compat.targets.target import CaseId

SECONDS_A_CASE = 0.05
"""A first guess at a case on a twin, until a record knows better: twice what it takes on a CPU."""
SECONDS_A_GIGABYTE = 10.0
"""A first guess at loading a checkpoint and running the checks on it, for each GB of it."""
Kind = tuple[Weights, str, str]


@dataclass(frozen=True)
class Durations:
    """Seconds that targets took, loading included."""

    by_load: Mapping[str, float] = field(default_factory=dict)
    """`model/weights/device/mode` -> seconds of all its cases in the newest run that had it."""
    by_kind: Mapping[Kind, float] = field(default_factory=dict)
    """(weights, device, mode) -> seconds on average."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> Durations:
        """What records say. What was skipped says nothing of the next time."""
        runs: dict[str, dict[str, float]] = defaultdict(dict)
        begun: dict[tuple[str, str], str] = {}
        for record in records:
            if isinstance(record, CaseRecord) and record.outcome is not Outcome.SKIPPED:
                load = record.case.rsplit("/", 2)[0]
                runs[load][record.run] = runs[load].get(record.run, 0.0) + record.seconds
                begun[load, record.run] = max(begun.get((load, record.run), ""), record.started)
        newest = {
            load: seconds[max(seconds, key=lambda run: begun[load, run])]
            for load, seconds in runs.items()
        }
        kinds: dict[Kind, list[float]] = defaultdict(list)
        for load, seconds in newest.items():
            case = CaseId.parse(f"{load}/bare/x")
            kinds[case.weights, case.device, case.mode].append(seconds)
        return cls(newest, {kind: mean(seconds) for kind, seconds in kinds.items()})

    def expected(self, planned: PlannedTarget, cases: int) -> float:
        """Seconds that a target with so many cases will take."""
        target = planned.target
        known = self.by_load.get(target.id.rpartition("/")[0])
        if known is not None:
            return known
        alike = self.by_kind.get((target.weights, target.device, target.mode))
        if alike is not None and target.weights is not Weights.HUB:
            return alike
        guess = cases * SECONDS_A_CASE
        if target.weights is Weights.HUB:
            guess += SECONDS_A_GIGABYTE * sum(spec.checkpoint.gb for _, spec in planned.parts)
        return guess
