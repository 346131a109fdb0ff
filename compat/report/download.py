"""Every result that the page shows as gzipped JSON, which the page carries and offers.

    {"schema": 2, "cases": {"case": [...], "outcome": [...], ...}, "measures": {execution: {...}}}

A column a fact, for a page is read far more often than it is downloaded and columns pack well.
What the records hold besides (traces, plans, results that the same environment has renewed) is in
`results.jsonl`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from typing import Any

from compat.report.evidence import TargetEvidence
from compat.results.record import CaseRecord

SCHEMA = 2
_LEFT_OUT = frozenset({"resident_bytes", "outline"})
"""Measures of every case, or drawn: they would be most of the file."""


def download_of(targets: Iterable[TargetEvidence]) -> bytes:
    """The results of `targets`; the same bytes for the same results.

    Where several environments have one of a case, that which the page speaks of comes first.
    """
    cases = [
        case
        for target in targets
        for one in (target, *target.elsewhere)
        for case in one.cases.values()
    ]
    columns: dict[str, list[Any]] = {
        "case": [case.case for case in cases],
        "family": [case.family for case in cases],
        "area": [case.area for case in cases],
        "outcome": [str(case.outcome) for case in cases],
        "stage": [str(case.stage) for case in cases],
        "reason": [str(case.reason.code) if case.reason else "" for case in cases],
        "blame": [str(case.expectation.blame) if case.expectation else "" for case in cases],
        "exception": [case.failure.type if case.failure else "" for case in cases],
        "seconds": [round(case.seconds, 3) for case in cases],
        "started": [case.started[:19] for case in cases],
        "environment": [case.environment for case in cases],
        "revision": [case.revision or "" for case in cases],
        "execution": [case.execution for case in cases],
    }
    measures = {case.execution: kept for case in cases if (kept := _measures(case))}
    content = {"schema": SCHEMA, "cases": columns, "measures": measures}
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0)


def _measures(case: CaseRecord) -> dict[str, Any]:
    return {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in case.measures.items()
        if name not in _LEFT_OUT
    }
