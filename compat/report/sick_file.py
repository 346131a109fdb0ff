"""The table of sick models that lies beside a report, where the tests of the checks wrote one.

{"schema": 1, "faults": [{"check": "...", "fault": "...", "model": "...", "caught": true,
                          "by_hand": false, "says": "..."}]}
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
    by_hand: bool = False
    says: str = ""


class SickTable(BaseModel):
    """Every fault that was tried."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = Field(alias="schema")
    faults: tuple[Fault, ...]


def sick_beside(folder: Path) -> tuple[SickView | None, tuple[Problem, ...]]:
    """What lies in `folder`, or what is wrong with it."""
    path = folder / FILE
    if not path.exists():
        return None, ()
    try:
        table = SickTable.model_validate_json(path.read_bytes())
    except OSError as error:
        return None, (Problem(FILE, 0, str(error)),)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return None, (Problem(FILE, 0, f"no table of sick models: {where}: {first['msg']}"),)
    return SickView(tuple(map(_model, table.faults))), ()


def _model(fault: Fault) -> SickModelView:
    return SickModelView(
        check=visible(fault.check, 120),
        fault=visible(fault.fault, 200),
        model=visible(fault.model, 120),
        caught=fault.caught,
        by_hand=fault.by_hand,
        says=visible(fault.says, _SAYS_LIMIT),
    )
