"""The record: JSON lines, one a fact, flushed at every case.

Kinds: `run`, `env`, `planned`, `case_start`, `case`, `job_end`. Every process appends to a file of
its own. Merging is set union on the execution id. `SCHEMA` grows when a reader has to change;
fields may be added without that, and a reader keeps what it does not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from compat.outcomes import Blame, Outcome, ReasonClass, ReasonCode, Stage

SCHEMA = 1

Measures = dict[str, float | int | str | bool | list[float] | None]


class Recorded(BaseModel):
    """Base of every line."""

    # A broken model's figures are NaN or infinite, for which JSON has no number; as null, within a
    # list of them, they would make the line unreadable.
    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="strings")

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    run: str = Field(description="id of the run; the same in every worker of a run")
    worker: str = Field(default="main", description="main, or xdist's gw0, gw1, ...")


class RunRecord(Recorded):
    """A run began."""

    kind: Literal["run"] = "run"
    started: str = Field(description="ISO 8601, UTC")
    command: tuple[str, ...] = Field(description="as typed, paths of this machine shortened")
    selection: str = Field(description="in words: what was asked for")
    suite: str = Field(description="version of this suite")


class GpuRecord(BaseModel):
    """One GPU as its driver names it."""

    model_config = ConfigDict(frozen=True)

    name: str
    memory_gb: float
    capability: str


class EnvRecord(Recorded):
    """The environment that a worker runs in; `id` is a hash of everything below it."""

    kind: Literal["env"] = "env"
    id: str
    python: str
    os: str
    cpu: str
    cpu_flags: tuple[str, ...] = Field(description="those that change results, such as avx512_bf16")
    cores: int
    memory_gb: float
    gpus: tuple[GpuRecord, ...] = ()
    cuda: str | None = None
    packages: dict[str, str] = Field(description="name -> version of what is tested")


class PlannedRecord(Recorded):
    """The cases that a run has set out to do, by target id."""

    kind: Literal["planned"] = "planned"
    cases: dict[str, tuple[str, ...]] = Field(description="target id -> check names")
    bases: dict[str, str] = Field(
        default_factory=dict,
        description="target id -> hash of the sources and registry entry its results rest on",
    )


class CaseStartRecord(Recorded):
    """A case began, or went on to another stage. Without a `case` of the same execution it crashed.

    It is written again at every stage, so that it is known where a process was when it died.
    """

    kind: Literal["case_start"] = "case_start"
    execution: str
    case: str
    started: str
    stage: Stage = Field(default=Stage.CHECK, description="the stage that has begun")


class ReasonRecord(BaseModel):
    """A `Reason`, with its class spelled out for readers of the file."""

    model_config = ConfigDict(frozen=True)

    reason_class: ReasonClass
    code: ReasonCode
    text: str
    action: str


class ExpectationRecord(BaseModel):
    """The known failure that a case was held against."""

    model_config = ConfigDict(frozen=True)

    blame: Blame
    reason: str
    issue: str | None = None
    line: int = Field(default=0, description="in models.yaml")


class FailureRecord(BaseModel):
    """The exception of a case that did not pass."""

    model_config = ConfigDict(frozen=True)

    type: str
    message: str
    trace: str = Field(default="", description="the last frames, paths shortened")


class CaseRecord(Recorded):
    """A case came to an end."""

    kind: Literal["case"] = "case"
    execution: str = Field(description="unique for ever: run, worker and number")
    case: str = Field(description="model/weights/device/mode/wrapper/check")
    family: str
    area: str
    check: str
    environment: str = Field(description="id of an env record")
    revision: str | None = Field(default=None, description="commit, or key of the twin")
    outcome: Outcome
    stage: Stage
    reason: ReasonRecord | None = None
    expectation: ExpectationRecord | None = None
    failure: FailureRecord | None = None
    measures: Measures = Field(default_factory=dict)
    sample: str | None = Field(default=None, description="model output: untrusted")
    started: str
    seconds: float
    reproduce: str = Field(description="a command that runs this case alone")


class JobEndRecord(Recorded):
    """A worker came to its end in good order."""

    kind: Literal["job_end"] = "job_end"
    finished: str
    exit_status: int
    cases: int
    loads: int


Record = Annotated[
    RunRecord | EnvRecord | PlannedRecord | CaseStartRecord | CaseRecord | JobEndRecord,
    Field(discriminator="kind"),
]

_ADAPTER: TypeAdapter[Record] = TypeAdapter(Record)


def parse_record(line: str | bytes | dict[str, Any]) -> Record:
    """Read one line. Raises pydantic.ValidationError for what is no record."""
    if isinstance(line, dict):
        return _ADAPTER.validate_python(line)
    return _ADAPTER.validate_json(line)


def dump_record(record: Record) -> str:
    """Write one line, without its line break."""
    return record.model_dump_json(by_alias=True, exclude_none=True)
