"""`plan.json`: which job runs which targets, on what kind of machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compat.results.atomic import replace_text

MOST_JOBS = 256
"""Of a matrix of GitHub's."""


class PlanFileError(ValueError):
    """A file that is no plan, or a job that it does not have."""


class Planned(BaseModel):
    """Base of what a plan is made of: immutable, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Job(Planned):
    """What one machine does: its targets are loaded one after the other."""

    index: int
    machine: str = Field(description="label of the kind of machine")
    seconds: float = Field(description="expected, from earlier records")
    targets: tuple[str, ...] = Field(description="slug-weights-device-mode, as in node ids")


class PlannedMachine(Planned):
    """A kind of machine that jobs are for."""

    label: str
    gpus: tuple[int, ...] = Field(description="bytes of each")


class Unplaced(Planned):
    """A target that no kind of machine is large enough for, and why."""

    target: str
    reason: str


class Chosen(Planned):
    """What of the registry is to be run, in the words of pytest's options."""

    mark: str = ""
    keyword: str = ""
    models: tuple[str, ...] = ()
    families: str = ""
    weights: str = ""
    modes: str = ""
    wrappers: str = "bare"


class Plan(Planned):
    """Everything that `compat plan` has decided."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    schema_version: Literal[1] = Field(default=1, alias="schema", serialization_alias="schema")
    chosen: Chosen = Chosen()
    machines: tuple[PlannedMachine, ...] = ()
    jobs: tuple[Job, ...]
    unplaced: tuple[Unplaced, ...] = ()

    def job(self, index: int) -> Job:
        """The job of that index. Raises PlanFileError."""
        for job in self.jobs:
            if job.index == index:
                return job
        raise PlanFileError(f"there is no job {index}; the plan has {len(self.jobs)}, from 0")

    def gpus_of(self, job: Job) -> int:
        """How many GPUs the machine of a job has. Raises PlanFileError where nobody has said."""
        for machine in self.machines:
            if machine.label == job.machine:
                return len(machine.gpus)
        raise PlanFileError(
            f"the plan does not say what {job.machine} is: make it anew with `compat plan`"
        )

    @property
    def balance(self) -> float:
        """The longest job over the mean: 1 is perfect."""
        seconds = [job.seconds for job in self.jobs]
        mean = sum(seconds) / len(seconds) if seconds else 0.0
        return max(seconds) / mean if mean else 1.0


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan as JSON, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, plan.model_dump_json(by_alias=True, indent=1) + "\n")


def read_plan(path: Path) -> Plan:
    """Read what `write_plan` wrote. Raises PlanFileError."""
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PlanFileError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = f"{'.'.join(map(str, first['loc']))}: " if first["loc"] else ""
        raise PlanFileError(f"{path} is no plan: {where}{first['msg']}") from None
