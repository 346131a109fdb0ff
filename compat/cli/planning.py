"""`compat plan`: from a selection to the jobs of many machines."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from compat.cli import listing
from compat.cluster.expected import Durations
from compat.cluster.machine import Machine
from compat.cluster.plan import Chosen, Plan, write_plan
from compat.cluster.planning import Wish, make_plan
from compat.fit.facts import Facts
from compat.registry.load import default_registry_path, load_registry
from compat.results.read import read_records
from compat.results.record import PlannedRecord
from compat.targets import Device
from compat.targets.selection import SelectionError

DONE, INCOMPLETE = 0, 1
NAMED = 10
GITHUB_OUTPUT = "GITHUB_OUTPUT"


@dataclass(frozen=True)
class Asked:
    """The options of `compat plan`."""

    chosen: Chosen
    machines: tuple[str, ...]
    jobs: int
    minutes: float | None
    records: tuple[Path, ...]
    output: Path
    github: bool


def plan_jobs(asked: Asked, registry_file: Path | None, facts: Facts | None = None) -> int:
    """Write the plan and print it. Raises RegistryError or SelectionError."""
    try:
        machines = tuple(map(Machine.parse, asked.machines))
    except ValueError as error:
        raise SelectionError(f"--machine: {error}") from None
    missing = [path for path in asked.records if not path.exists()]
    if missing:
        raise SelectionError(f"--records: no such file or folder: {missing[0]}")
    registry = load_registry(registry_file or default_registry_path())
    cases = Counter(
        planned
        for planned, _ in listing.cases_of(selected(asked.chosen), registry, _devices(machines))
    )
    if not cases:
        raise SelectionError("nothing is selected: there is nothing to plan")
    durations = Durations.of(read_records(asked.records).records)
    wish = Wish(machines, asked.jobs, None if asked.minutes is None else 60 * asked.minutes)
    try:
        plan = make_plan(asked.chosen, cases, wish, durations, facts or Facts())
    except ValueError as error:
        raise SelectionError(f"--jobs: {error}") from None
    try:
        write_plan(plan, asked.output)
    except OSError as error:
        raise SelectionError(f"{asked.output} can't be written: {error.strerror}") from None
    _show(plan, listing.wide_console(), asked.output)
    if asked.github:
        _tell_github(plan)
    return INCOMPLETE if plan.unplaced else DONE


def planned_records(plan: Plan, registry_file: Path | None) -> tuple[PlannedRecord, ...]:
    """What every job of a plan has set out to do, as its run would record it.

    Among the records of the jobs that ran, those of a job that never did are a gap like any other.
    """
    registry = load_registry(registry_file or default_registry_path())
    job_of = {target: job for job in plan.jobs for target in job.targets}
    cases: dict[int, dict[str, list[str]]] = {job.index: {} for job in plan.jobs}
    for planned, check in listing.cases_of(selected(plan.chosen), registry, frozenset(Device)):
        job = job_of.get(planned.target.load_part)
        if job is not None:
            cases[job.index].setdefault(planned.target.id, []).append(check.name)
    return tuple(
        PlannedRecord(
            run=f"job {job.index} of the plan, on {job.machine}",
            worker="plan",
            cases={target: tuple(checks) for target, checks in cases[job.index].items()},
        )
        for job in plan.jobs
    )


def selected(chosen: Chosen) -> listing.Asked:
    """The same as `compat list` has it."""
    return listing.Asked(**chosen.model_dump())


def _devices(machines: tuple[Machine, ...]) -> frozenset[Device]:
    gpu = any(machine.room.gpus for machine in machines)
    return frozenset(Device) if gpu else frozenset({Device.CPU})


def _show(plan: Plan, console: Console, path: Path) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, justify in (("job", "right"), ("machine", "left"), ("targets", "right")):
        table.add_column(title, justify="right" if justify == "right" else "left")
    table.add_column("expected", justify="right")
    for job in plan.jobs:
        table.add_row(str(job.index), job.machine, str(len(job.targets)), f"{job.seconds:,.0f} s")
    console.print(table)
    for one in plan.unplaced[:NAMED]:
        console.print(f"in no job: {one.target}: {one.reason}", markup=False)
    if len(plan.unplaced) > NAMED:
        console.print(f"in no job: {len(plan.unplaced) - NAMED} more; the plan names them all")
    targets = sum(len(job.targets) for job in plan.jobs)
    console.print(
        f"{targets} targets in {len(plan.jobs)} jobs; the longest takes {plan.balance:.2f} times "
        f"the mean: {path}",
        markup=False,
    )


def _tell_github(plan: Plan) -> None:
    """Write the matrix in the form that `fromJSON` takes."""
    include = [
        {"index": job.index, "machine": job.machine, "targets": len(job.targets)}
        for job in plan.jobs
    ]
    line = f"matrix={json.dumps({'include': include})}\n"
    output = os.environ.get(GITHUB_OUTPUT)
    if output:
        with Path(output).open("a") as file:
            file.write(line)
    else:
        print(line, end="")
