"""At the end of a run: what changed since an earlier one."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.plugin.session import SESSION
from compat.targets.selection import SelectionError


class Baseline:
    """Compares a run with earlier records where its terminal is; it fails nothing by itself.

    What regressed fails the run as it is. Raises SelectionError for a file without results, before
    anything is run.
    """

    def __init__(self, config: pytest.Config, file: Path) -> None:
        from compat.results.read import read_records

        self._config = config
        self._file = file
        if not any(record.kind == "case" for record in read_records(file).records):
            raise SelectionError(f"--compat-baseline: {file} holds no results")

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say it, where this run has any results."""
        session = self._config.stash.get(SESSION, None)
        if session is None or not session.recorder.writer.written:
            return
        from compat.report import changes_since
        from compat.report.comparison_text import comparison_text

        changes = changes_since(
            self._file,
            session.recorder.writer.path.parent,
            session.registry_with_given,
            tuple(session.catalogue),
        )
        terminalreporter.section("compat: since the baseline", "-")
        for line in comparison_text(changes):
            terminalreporter.line(line.plain, red=line.style == "red", bold=line.style == "bold")
