"""`--compat-resume`: go on where an earlier run of the same things has stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat.plugin.basis import bases_of
from compat.plugin.case import asked_of, case_id
from compat.plugin.session import CompatSession
from compat.plugin.settled import SETTLED, SETTLED_CASES, Settled
from compat.results.environment import environment_record
from compat.results.read import read_records
from compat.results.settled import environments_of, settled_cases

if TYPE_CHECKING:
    from compat.results.record import CaseRecord


def drop_settled(session: CompatSession, items: list[pytest.Item]) -> list[pytest.Item]:
    """Take out, and return, the cases that earlier records have settled.

    A person's own tests always run: nobody knows what they rest on.
    """
    folder = session.options.resume
    if folder is None:
        return []
    asked = {item: of for item in items if (of := asked_of(item)) is not None and of.check}
    planned = {of.planned for of in asked.values()}
    records = read_records(_earlier(folder, session.folder)).records
    here = environment_record(session.host, run="", worker="")
    settled = settled_cases(records, bases_of(planned, session.catalogue), here)
    found: dict[pytest.Item, CaseRecord] = {}
    for item, of in asked.items():
        case = case_id(item, of)
        record = settled.get(f"{case.target}/{case.check}")
        if record is not None:
            found[item] = record
    items[:] = [item for item in items if item not in found]
    cases = tuple(found.values())
    session.config.stash[SETTLED_CASES] = len(cases)
    session.config.stash[SETTLED] = Settled(cases, environments_of(cases, records))
    return list(found)


def _earlier(folder: Path, own: Path) -> list[Path]:
    """The files of records there, but for those of this run: all its workers must see the same."""
    if folder.is_file():
        return [folder]
    return [path for path in sorted(folder.rglob("*.jsonl")) if path.parent != own]
