"""What a case came to, as properties of its test case in pytest's own JUnit XML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest


class JUnitProperties:
    """Adds them where `--junitxml` is written: in the process that has the terminal."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[str, object]]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a case came to until its last report: the one that pytest takes them from."""
        record: Mapping[str, Any] | None = getattr(report, "compat", None)
        if record is not None:
            self._found[report.nodeid] = list(properties(record))
        if report.when == "teardown":
            report.user_properties += self._found.pop(report.nodeid, [])


def properties(record: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Case id, area and outcome; why it was skipped and what to do, or who is to blame."""
    yield "compat_case", record["case"]
    yield "compat_area", record["area"]
    yield "compat_outcome", record["outcome"]
    if reason := record.get("reason"):
        yield "compat_reason", f"{reason['code']}: {reason['text']}"
        yield "compat_action", reason["action"]
    if expectation := record.get("expectation"):
        yield "compat_blame", expectation["blame"]
