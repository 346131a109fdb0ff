"""Targets that have killed too many workers: the cases they still have are skipped, by name.

The controller knows them and the workers run the cases, so that each is recorded like any other.
"""

from __future__ import annotations

import json
from pathlib import Path

from compat.outcomes import CannotRun, Reason, ReasonCode, Stage, in_stage

FILE = "given_up.json"
ACTION = "mend or deselect what kills its worker, and run the target again"


class GivenUp:
    """Why which target of a run is given up, kept beside its records."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def add(self, load: str, why: str) -> None:
        """Give a target up. Only the controller does, so nobody else writes."""
        self._file.write_text(json.dumps(self._read() | {load: why}))

    def refuse(self, load: str) -> None:
        """Raise CannotRun for a target that is given up."""
        why = self._read().get(load)
        if why is not None:
            with in_stage(Stage.REQUIREMENTS):
                raise CannotRun(Reason(ReasonCode.NOT_RUN, why, ACTION))

    def _read(self) -> dict[str, str]:
        if not self._file.exists():
            return {}
        given_up: dict[str, str] = json.loads(self._file.read_text())
        return given_up
