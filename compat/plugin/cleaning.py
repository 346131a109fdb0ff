"""What pytest shows and logs of a case: without secrets, and with nothing a terminal obeys.

Messages, local variables and captured output may quote a checkpoint, the environment, or both.
"""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from _pytest._code.code import TerminalRepr

from compat.results.atomic import replace_text
from compat.results.redact import Redactor
from compat.results.visible import visible

LOGS = ("xmlpath", "htmlpath")
"""Options of pytest and pytest-html that name a log to write."""


def clean_report(report: pytest.TestReport, redactor: Redactor) -> None:
    """Rewrite all text of a report that somebody else may have written."""

    def shown(text: str) -> str:
        return visible(redactor.text(text))

    report.longrepr = _cleaned(report.longrepr, shown)
    report.sections = [(shown(name), shown(text)) for name, text in report.sections]
    if hasattr(report, "wasxfail"):
        report.wasxfail = shown(report.wasxfail)


def clean_logs(config: pytest.Config, redactor: Redactor) -> None:
    """Take out of the logs of a run what pytest itself has put there: paths, the host's name."""
    for option in LOGS:
        given = getattr(config.option, option, None)
        path = Path(os.path.expanduser(given)) if given else None
        if path is not None and path.is_file():
            text = redactor.line(path.read_text(encoding="utf-8"))
            host = f"hostname={quoteattr(platform.node())}"
            replace_text(path, text.replace(host, 'hostname="HOST"'))


class CleanWarnings:
    """Rewrites warnings before they are summed up: a library's may quote a checkpoint."""

    def __init__(self, config: pytest.Config) -> None:
        self._redactor = Redactor.here(config.rootpath)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Rewrite what says more than it should, and leave every other as it is."""
        said = str(warning_message.message)
        shown = visible(self._redactor.text(said))
        if shown != said:
            warning_message.message = shown
        warning_message.filename = self._redactor.text(warning_message.filename)


def _cleaned(value: Any, shown: Callable[[str], str]) -> Any:
    """A copy of text and sequences; what pytest builds tracebacks of is rewritten in place."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list | tuple):
        return type(value)(_cleaned(part, shown) for part in value)
    if isinstance(value, TerminalRepr):
        for name, part in vars(value).items():
            setattr(value, name, _cleaned(part, shown))
    return value
