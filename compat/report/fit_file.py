"""The table of what fits that lies beside a report, where there is one."""

from __future__ import annotations

from pathlib import Path

from compat.fit.table import FILE, FitFileError, FitTable, read_table
from compat.results.read import Problem


def fit_beside(folder: Path) -> tuple[FitTable | None, tuple[Problem, ...]]:
    """What `compat fit --export FOLDER/fit.json` has written, or what is wrong with it."""
    path = folder / FILE
    if not path.exists():
        return None, ()
    try:
        return read_table(path), ()
    except (FitFileError, OSError) as error:
        return None, (Problem(FILE, 0, str(error)),)
