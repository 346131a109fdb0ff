"""A report over made-up records, in the Chromium of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from compat.outcomes import Blame, Outcome, ReasonCode, Stage
from compat.report import build_view, write_html
from compat.report.comparison import comparison_view
from compat.results.compare import compare
from compat.results.record import ExpectationRecord, FailureRecord, Record
from compat.targets import Mode, Target, Weights
from tests.unit.report.records import (
    CHECKS,
    case_record,
    model_spec,
    passing,
    reason_record,
    registry_of,
    run_records,
    target_of,
)

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
ATTACK = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"

ANVIL = model_spec("acme/anvil-1b", aliases=["heavy"])
ROCKET = model_spec("acme/rocket-7b", family="rocket", parameters=7_000_000_000)
SHED = model_spec("barn/shed-small", **{"family": "t5", "class": "seq2seq"})
WELL = model_spec("barn/well-3b", family="rocket", parameters=3_000_000_000)
REGISTRY = registry_of(ANVIL, ROCKET, SHED, WELL)


def old_records() -> list[Record]:
    return [*run_records([target_of(ANVIL, Mode.FP32)]), *passing(target_of(ANVIL, Mode.FP32))]


def records() -> list[Record]:
    """Anvil works as a twin and its checkpoint is gated; rocket fails; shed is known to; well lacks
    memory."""
    fp32, nf4 = target_of(ANVIL, Mode.FP32), target_of(ANVIL, Mode.NF4)
    hub = target_of(ANVIL, Mode.FP32, Weights.HUB)
    rocket, shed = target_of(ROCKET, Mode.NF4), target_of(SHED, Mode.INT8)
    well = target_of(WELL, Mode.BF16)
    targets = [fp32, nf4, hub, rocket, shed, well]
    return [
        *run_records(targets, run="r2"),
        *_measured(fp32),
        *_measured(nf4),
        *_blocked(hub, ReasonCode.GATED),
        *_with(rocket, Outcome.FAILED, sample=ATTACK, failure=_failure(ATTACK)),
        *_with(
            shed,
            Outcome.KNOWN_FAILURE,
            failure=_failure("N must be divisible"),
            expectation=ExpectationRecord(blame=Blame.UPSTREAM, reason="not repacked", line=9),
        ),
        *_blocked(well, ReasonCode.DOES_NOT_FIT),
    ]


def _failure(message: str) -> FailureRecord:
    return FailureRecord(type="RuntimeError", message=message, trace=message)


def _measured(target: Target) -> list[Record]:
    first, *others = passing(target, run="r2", started="2026-11-21T10:00:00Z")
    measures = {"load_seconds": 0.02, "tokens_per_second": 90.0, "prompt": "Once"}
    return [first.model_copy(update={"measures": measures, "sample": "upon a time"}), *others]


def _with(target: Target, outcome: Outcome, **changes: object) -> list[Record]:
    _, *others = passing(target, run="r2")
    return [case_record(target, CHECKS[0], outcome, run="r2", **changes), *others]


def _blocked(target: Target, code: ReasonCode) -> list[Record]:
    reason = reason_record(code)
    return [
        case_record(
            target, check, Outcome.SKIPPED, run="r2", stage=Stage.REQUIREMENTS, reason=reason
        )
        for check in CHECKS
    ]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "index.html"
    changes = comparison_view(compare(old_records(), records()))
    view = build_view(records(), REGISTRY, checks=CHECKS, changes=changes)
    write_html(view, path)
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("needs Chromium: apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install '.[dev]'")
    with playwright.sync_playwright() as driver:
        # the page is ours, and containers run as root
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Reader:
    """Somebody with a browser: opens the report, and notes what else the page does."""

    browser: Any
    report: Path
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str = "", **settings: Any) -> Any:
        """A page at this address of the report."""
        settings = {"viewport": {"width": 1400, "height": 900}, **settings}
        page = self.browser.new_context(**settings).new_page()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{self.report.as_uri()}{address}")
        return page

    def close(self) -> None:
        """Close every page."""
        for context in self.browser.contexts:
            context.close()


@pytest.fixture
def reader(chromium: Any, report: Path) -> Iterator[Reader]:
    made = Reader(chromium, report)
    yield made
    made.close()


def shown_models(page: Any) -> list[str]:
    """The rows of the matrix that are there to be seen."""
    return [
        row.get_attribute("data-model").removeprefix("m-")
        for row in page.query_selector_all("#table tr[data-model]")
        if row.is_visible()
    ]
