"""One thread, for twins are so small that a second one costs more than it brings; the fault table.

`pytest tests/sick --fault-table FILE` writes what the tests have found of every fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compat.report.sick_file import Fault, SickTable
from compat.results.atomic import replace_text
from compat.targets.devices import this_host

FAULT = "fault"
"""The property of a test's report that carries what it has found."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-table",
        type=Path,
        metavar="FILE",
        help="write which check caught which fault, as JSON, if every fault was tried",
    )


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("fault_table", None)
    if file is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FaultTableWriter(file))


class FaultTableWriter:
    """Collects what tests have found, of all workers, and writes it at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, Fault] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            found = dict(report.user_properties).get(FAULT)
            if isinstance(found, str):
                self._found[report.nodeid] = Fault.model_validate_json(found)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        from tests.sick.diagnosis import load_corpus

        order = [f"[{sickness.id}]" for sickness in load_corpus()]
        found = {nodeid[nodeid.index("[") :]: fault for nodeid, fault in self._found.items()}
        missing = len(order) - len(found)
        if missing:
            terminalreporter.write_line(f"{self._file} not written: {missing} faults not tried")
            return
        table = SickTable(
            schema=1,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            packages=dict(this_host().packages),
            faults=tuple(found[part] for part in order),
        )
        replace_text(self._file, table.model_dump_json(by_alias=True, indent=1) + "\n")
        terminalreporter.write_line(f"{len(order)} faults written to {self._file}")


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
