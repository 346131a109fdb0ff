"""The report's page in the system's Chromium: size, first paint, and what a filter takes."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.runs import empty_folder
from compat.checks.registry import load_catalogue
from compat.registry.load import default_registry_path, load_registry
from compat.report import build_view, render_html
from compat.results.read import read_records
from compat.results.record import CaseRecord, CaseStartRecord, PlannedRecord, Record
from compat.targets.target import CaseId

RECORDS = Path("reports/results.jsonl")
"""What `make report` has merged."""
CASES = 5_000

TYPED = """async () => {
  const field = document.querySelector("[name=q]"), took = [];
  for (const text of ["l", "ll", "lla", "llama", "llama 3", "", "moe", ""]) {
    const started = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.offsetHeight;
    took.push(performance.now() - started);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  return took;
}"""
"""Types into the filter: milliseconds until every row has its new place."""

Figures = dict[str, Any]


def page() -> Figures:
    """The page at 5,000 cases: at most 3 MB, first paint under 1 s, a filter under 100 ms."""
    if not RECORDS.exists():
        raise RuntimeError(f"no {RECORDS}: make report writes it")
    records = read_records(RECORDS).records
    return {"some": _measured(_first(records, CASES)), "all": _measured(records)}


def _first(records: tuple[Record, ...], cases: int) -> tuple[Record, ...]:
    """The records of the first models that have at least so many cases together."""
    ran = [record for record in records if isinstance(record, CaseRecord)]
    ran.sort(key=lambda case: CaseId.parse(case.case).model)
    chosen = {CaseId.parse(case.case).model for case in ran[:cases]}
    return tuple(cut for record in records if (cut := _cut(record, chosen)) is not None)


def _cut(record: Record, models: set[str]) -> Record | None:
    """What a record says of these models alone; None where that is nothing."""
    if isinstance(record, CaseRecord | CaseStartRecord):
        return record if CaseId.parse(record.case).model in models else None
    if isinstance(record, PlannedRecord):
        planned = {
            target: checks
            for target, checks in record.cases.items()
            if CaseId.parse(f"{target}/").model in models
        }
        return record.model_copy(update={"cases": planned})
    return record


def _measured(records: tuple[Record, ...]) -> Figures:
    registry = load_registry(default_registry_path())
    html = render_html(build_view(records, registry, checks=tuple(load_catalogue())))
    with empty_folder() as folder:
        path = folder / "index.html"
        path.write_text(html, encoding="utf-8")
        paint, typed, requests = _in_chromium(path)
    return {
        "cases": sum(isinstance(record, CaseRecord) for record in records),
        "megabytes": round(len(html.encode()) / 1e6, 2),
        "first_paint_milliseconds": round(paint),
        "filter_milliseconds": {"median": round(median(typed), 1), "largest": round(max(typed), 1)},
        "requests": requests,
    }


def _in_chromium(path: Path) -> tuple[float, list[float], int]:
    from playwright.sync_api import sync_playwright

    requests: list[str] = []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = chromium.new_page(viewport={"width": 1400, "height": 900})
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(path.as_uri(), wait_until="load")
        paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        typed = tab.evaluate(TYPED)
        chromium.close()
    return float(paint), [float(one) for one in typed], len(requests) - 1
