"""How planning scales, without a cluster: plans are made and measured, nothing is run."""

from __future__ import annotations

import random
import time
from typing import Any

from benchmarks.runs import ROOT, empty_folder, run_suite
from compat.cluster.expected import Durations
from compat.cluster.packing import Work, pack
from compat.cluster.plan import Plan, read_plan, write_plan
from compat.results.read import read_records

MODELS, MODES, WORKERS = 10_000, 8, 512
JOBS = 8
SEED = 20
RECORDS = ROOT / "reports" / "results.jsonl"
"""Of `make report`."""

Figures = dict[str, Any]


def planning() -> Figures:
    """10,000 models x 8 modes packed for 512 workers in 10 s; longest of 8 jobs 1.1 of their mean.

    Without what the targets take of memory, which is computed once a model and kept. Durations of
    the many are drawn, log-normal. The recorded balance is that of jobs whose targets take as long
    again as they took.
    """
    draw = random.Random(SEED)
    many = [
        Work(f"model-{model}-mode-{mode}", f"gpu-{model % 4}", draw.lognormvariate(4, 1))
        for model in range(MODELS)
        for mode in range(MODES)
    ]
    with empty_folder() as folder:
        began = time.perf_counter()
        write_plan(Plan(jobs=pack(many, WORKERS)), folder / "plan.json")
        simulated = read_plan(folder / "plan.json")
        seconds = time.perf_counter() - began
    recorded = _recorded()
    plan = Plan(jobs=pack(recorded, JOBS))
    return {
        "simulated_targets": len(many),
        "simulated_jobs": len(simulated.jobs),
        "packed_written_and_read_seconds": round(seconds, 2),
        "simulated_balance": round(simulated.balance, 3),
        "recorded_targets": len(recorded),
        "recorded_jobs": len(plan.jobs),
        "recorded_balance": round(plan.balance, 3),
    }


def _recorded() -> list[Work]:
    """What targets took: in the last report, else in a quick run."""
    records = (
        read_records(RECORDS).records
        if RECORDS.exists()
        else run_suite("--compat-per-family=1", "--compat-modes=fp32").records
    )
    durations = Durations.of(records)
    return [Work(load, "recorded", seconds) for load, seconds in durations.by_load.items()]
