"""The table of sick models that lies beside a report, where the tests of the checks wrote one.

{"schema": 1, "made": "2026-01-02T03:04:05+00:00", "packages": {"torch": "..."},
 "faults": [{"check": "...", "fault": "...", "model": "...", "caught": true, "says": "...",
             "by_hand": false, "spared": ["..."], "alarms": []}]}
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compat.report.section_view import SickModelView, SickView
from compat.report.text import visible
from compat.results.read import Problem

FILE = "sick.json"
_SAYS_LIMIT = 240


class Fault(BaseModel):
    """A damage to a model, and whether the check that is there for it caught it."""

    model_config = ConfigDict(frozen=True)

    check: str
    fault: str
    model: str = ""
    caught: bool
    by_hand: bool | None = None
    """None where a check written by hand has nothing to try: a config alone."""
    says: str = ""
    spared: tuple[str, ...] = ()
    """Checks that had to stay green on the damaged model, and did."""
    alarms: tuple[str, ...] = ()
    """Checks that had to, and did not."""


class SickTable(BaseModel):
    """Every fault that was tried."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = Field(alias="schema", serialization_alias="schema")
    made: str = ""
    """ISO 8601, UTC."""
    packages: dict[str, str] = {}
    """Versions of what the faults were tried with."""
    faults: tuple[Fault, ...]


def sick_beside(folder: Path) -> tuple[SickView | None, tuple[Problem, ...]]:
    """What lies in `folder`, or what is wrong with it. Without a table the view has no models."""
    path = folder / FILE
    if not path.exists():
        return SickView(()), ()
    try:
        table = SickTable.model_validate_json(path.read_bytes())
    except OSError as error:
        return None, (Problem(FILE, 0, str(error)),)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return None, (Problem(FILE, 0, f"no table of sick models: {where}: {first['msg']}"),)
    return SickView(tuple(map(_model, table.faults)), _tried(table)), ()


def _tried(table: SickTable) -> str:
    """When and with what."""
    packages = ", ".join(f"{name} {version}" for name, version in table.packages.items())
    return visible(f"Tried on {table.made[:10]} with {packages}.", 300) if table.made else ""


def _model(fault: Fault) -> SickModelView:
    return SickModelView(
        check=visible(fault.check, 120),
        fault=visible(fault.fault, 200),
        model=visible(fault.model, 120),
        caught=fault.caught,
        by_hand=fault.by_hand,
        says=visible(fault.says, _SAYS_LIMIT),
        spared=len(fault.spared),
        alarms=visible(", ".join(fault.alarms), 200),
    )
