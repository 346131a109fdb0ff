"""What fits where, as a table: made from a registry, kept as JSON, read by the report."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compat.results.atomic import replace_text
from compat.targets import Device, Mode

SCHEMA = 1
FILE = "fit.json"
"""Beside a report, which shows it."""


class FitFileError(ValueError):
    """A file that is no table of what fits."""


class Fitted(BaseModel):
    """Base of what the table is made of: immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FitRow(Fitted):
    """A model in a mode."""

    model: str = Field(description="hub id")
    slug: str
    family: str
    mode: Mode
    weights: dict[str, int] = Field(description="bytes by dtype, or by scheme with scales")
    weights_bytes: int
    cache_bytes: int | None = Field(description="keys, values and states; null: keeps nothing")
    forward_bytes: int = Field(description="peak besides the weights")
    backward_bytes: int = Field(description="peak besides the weights, which are frozen")
    gpu_bytes: int = Field(description="to be free for a forward, margin included")
    host_bytes: int
    disk_bytes: int
    fits: bool = Field(description="a forward")
    fits_backward: bool
    largest_batch: int = Field(description="of a forward at that length; 0: none fits")
    largest_backward_batch: int = Field(description="of a backward past frozen weights")


class PairFitRow(Fitted):
    """Training an adapter from one frozen model into another."""

    source: str
    target: str
    mode: Mode
    adapter: str
    parameters: int
    gpu_bytes: int = Field(description="to be free at that batch, margin included")
    host_bytes: int
    batch: int = Field(description="the largest that fits; 0: none does")
    accumulation: int = Field(description="batches to a step")


class UnpredictedRow(Fitted):
    """A model of which nothing can be said, and why."""

    model: str
    slug: str
    why: str


class FitTable(Fitted):
    """Everything that one `compat fit` has found."""

    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    device: Device
    gpus: tuple[int, ...] = Field(description="free bytes of each GPU")
    host: int = Field(description="free bytes of main memory")
    disk: int
    batch: int
    length: int
    attention: str
    packages: dict[str, str]
    rows: tuple[FitRow, ...]
    pairs: tuple[PairFitRow, ...] = ()
    unpredicted: tuple[UnpredictedRow, ...] = ()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that occur, in the order of rows."""
        return tuple(mode for mode in Mode if any(row.mode is mode for row in self.rows))


def write_table(table: FitTable, path: Path) -> None:
    """Write a table as JSON, whole or not at all. Raises OSError."""
    replace_text(path, table.model_dump_json(by_alias=True, indent=1) + "\n")


def read_table(path: Path) -> FitTable:
    """Read what `write_table` wrote. Raises OSError, or FitFileError for anything else."""
    try:
        return FitTable.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise FitFileError(
            f"{path.name} is no table of what fits: {where}: {first['msg']}"
        ) from None
