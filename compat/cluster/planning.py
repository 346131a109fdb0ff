"""From the targets of a selection to a plan: the smallest kind of machine that each one fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from compat.cluster.expected import Durations
from compat.cluster.machine import Machine
from compat.cluster.packing import Work, pack
from compat.cluster.plan import Chosen, Plan, PlannedMachine, Unplaced
from compat.fit.facts import Facts
from compat.fit.judge import Fitting
from compat.fit.room import Room
from compat.outcomes import CannotRun
from compat.targets import Device, Mode
from compat.targets.plan import PlannedTarget

SEVERAL = 2
"""GPUs that a model is spread over at least."""


@dataclass(frozen=True)
class Wish:
    """What jobs are to be like."""

    machines: tuple[Machine, ...]
    most: int
    aim: float | None = None
    """Seconds that a job is to last; None: as many jobs as there may be."""


def make_plan(
    chosen: Chosen,
    cases: Mapping[PlannedTarget, int],
    wish: Wish,
    durations: Durations,
    facts: Facts,
) -> Plan:
    """Place and pack the targets of what was chosen, given with the number of their cases.

    Raises ValueError where there are more kinds of machine than jobs.
    """
    machines = sorted(wish.machines, key=lambda machine: machine.memory)
    counts: Counter[str] = Counter()
    loads: dict[str, PlannedTarget] = {}
    for planned, count in cases.items():  # targets that differ in the wrapper share a load
        loads.setdefault(planned.target.load_part, planned)
        counts[planned.target.load_part] += count
    works: list[Work] = []
    unplaced: list[Unplaced] = []
    for load, planned in loads.items():
        machine, why_not = _smallest(planned, machines, facts)
        if machine is None:
            unplaced.append(Unplaced(target=load, reason=why_not))
        else:
            seconds = durations.expected(planned, counts[load])
            works.append(Work(load, machine.label, seconds))
    return Plan(
        chosen=chosen,
        machines=tuple(
            PlannedMachine(label=machine.label, gpus=machine.room.gpus) for machine in machines
        ),
        jobs=pack(works, wish.most, wish.aim),
        unplaced=tuple(unplaced),
    )


def _smallest(
    planned: PlannedTarget, machines: Sequence[Machine], facts: Facts
) -> tuple[Machine | None, str]:
    """The smallest machine that a target runs on, or why it does on none."""
    of_its_kind = list(_with_its_devices(planned, machines))
    if not of_its_kind:
        return None, _lacking(planned)
    reason = ""
    for machine in of_its_kind:
        try:
            Fitting(facts=facts, room=partial(_room_of, machine)).require(planned.parts)
        except CannotRun as cannot:
            reason = cannot.reason.text
        else:
            return machine, ""
    return None, reason


def _room_of(machine: Machine) -> Room:
    return machine.room


def _with_its_devices(planned: PlannedTarget, machines: Iterable[Machine]) -> list[Machine]:
    target = planned.target
    if target.device is Device.GPU:
        least = SEVERAL if target.mode is Mode.AUTO else 1
        return [machine for machine in machines if len(machine.room.gpus) >= least]
    without = [machine for machine in machines if not machine.room.gpus]
    # A GPU's machine has a CPU too; it is taken where there is no other.
    return without or list(machines)


def _lacking(planned: PlannedTarget) -> str:
    several = "several GPUs" if planned.target.mode is Mode.AUTO else "a GPU"
    return f"it needs {several}, and no machine of the plan has that"
