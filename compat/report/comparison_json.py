"""What changed, for programs: every change, none grouped and none left out."""

from __future__ import annotations

import json
from typing import Any

from compat.results.compare import Change, Comparison
from compat.results.record import CaseRecord

SCHEMA = 1


def comparison_json(comparison: Comparison) -> str:
    """A JSON object; `fails` says what the exit code says."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "fails": comparison.fails,
            "compared": comparison.compared,
            "still_failing": comparison.still_failing,
            "not_run": comparison.not_run,
            "changes": [_change(change) for change in comparison.changes],
            "environments": [
                {
                    "old": move.old,
                    "new": move.new,
                    "cases": move.cases,
                    "moved": {one.name: [one.old, one.new] for one in move.moved},
                }
                for move in comparison.environments
            ],
            "measures": [
                {
                    "case": move.case,
                    "measure": move.name,
                    "old": move.old,
                    "new": move.new,
                    "noise": move.basis,
                    "other_weights": move.other_weights,
                }
                for move in comparison.measures
            ],
        },
        indent=1,
        ensure_ascii=False,
    )


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": str(change.kind),
        "case": change.case,
        "fails": change.fails,
        "old": _end(change.old),
        "new": _end(change.new),
        "moved": {one.name: [one.old, one.new] for one in change.moved},
    }


def _end(case: CaseRecord | None) -> dict[str, Any] | None:
    """What a result was, and where its record is found."""
    if case is None:
        return None
    return {
        "execution": case.execution,
        "outcome": str(case.outcome),
        "environment": case.environment,
        "started": case.started,
        "exception": None if case.failure is None else case.failure.type,
        "message": None if case.failure is None else case.failure.message,
        "reason": None if case.reason is None else case.reason.text,
    }
