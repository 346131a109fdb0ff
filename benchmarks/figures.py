"""The figures, one function each. What each is to reach is in its docstring."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.fitting import fit
from benchmarks.loop import LIGHT_AREAS
from benchmarks.page import page
from benchmarks.parallel import isolation, speedup
from benchmarks.prediction import prediction
from benchmarks.runs import BATCH, SMALL, empty_folder, run_suite, timed
from benchmarks.scale import planning

Figures = dict[str, Any]


def registry() -> Figures:
    """The whole registry on two workers: at most 3 minutes of teaching and 20 ms a case."""
    with empty_folder() as cache:
        command = [str(Path(sys.executable).with_name("compat")), "twin", "--all"]
        teaching, status, output = timed(command, COMPAT_TWIN_CACHE=str(cache))
        if status != 0:
            raise RuntimeError(output[-2000:])
        run = run_suite("-n2", f"--compat-twin-cache={cache}", "--compat-report")
    return {
        "teaching_seconds": round(teaching, 1),
        "suite_seconds": round(run.seconds, 1),
        "cases": len(run.cases),
        "targets": len(run.targets),
        "milliseconds_a_case": round(1000 * run.seconds / len(run.cases), 1),
        "outcomes": dict(Counter(str(case.outcome) for case in run.cases)),
    }


def loads() -> Figures:
    """Loads a target: exactly 1, in one process and on one and two workers."""
    figures: Figures = {}
    for workers in (0, 1, 2):
        run = run_suite("--compat-per-family=1", "--compat-modes=fp32", f"-n{workers}")
        figures[f"n{workers}"] = {
            "targets": len(run.targets),
            "loads": run.loads,
            "loads_a_target": run.loads / len(run.targets),
        }
    return figures


def collection() -> Figures:
    """Collection: at most 1 s and 0.15 ms a case, without importing torch."""
    program = (
        "import json, sys, time, pytest\n"
        "began = time.perf_counter()\n"
        "class Count:\n"
        "    def pytest_collection_finish(self, session):\n"
        "        self.cases = len(session.items)\n"
        "count = Count()\n"
        "pytest.main(['tests/test_compat.py', '--collect-only', '-qq', '-p', 'no:cacheprovider'],\n"
        "            plugins=[count])\n"
        "print('FIGURES' + json.dumps({'cases': count.cases, 'torch': 'torch' in sys.modules,\n"
        "      'seconds': time.perf_counter() - began}))\n"
    )
    runs = []
    for _ in range(5):
        _, _, output = timed([sys.executable, "-c", program])
        runs.append(json.loads(output.split("FIGURES")[1]))
    cases, seconds = runs[0]["cases"], median(run["seconds"] for run in runs)
    return {
        "cases": cases,
        "seconds": round(seconds, 2),
        "goal_seconds": round(1 + 0.15e-3 * cases, 2),
        "torch_imported": any(run["torch"] for run in runs),
    }


def overhead() -> Figures:
    """The suite over a hand-written loop with the same loads and checks: at most 1.15.

    The suite as the Makefile runs it, and as a plain pytest does: that listens to every logger of
    torch that does not propagate, anew in each phase of each case.
    """
    loop, suite, plain = [], [], []
    for _ in range(2):
        seconds, status, output = timed([sys.executable, "-m", "benchmarks.loop"])
        if status != 0:
            raise RuntimeError(output[-2000:])
        loop.append(seconds)
        suite.append(run_suite(*SMALL, *BATCH, "-n0").seconds)
        plain.append(run_suite(*SMALL, "-n0").seconds)
    return {
        "loop_seconds": round(min(loop), 1),
        "suite_seconds": round(min(suite), 1),
        "ratio": round(min(suite) / min(loop), 3),
        "plain_seconds": round(min(plain), 1),
        "plain_ratio": round(min(plain) / min(loop), 3),
    }


def memory() -> Figures:
    """Resident memory before the 300th target over that before the 10th: at most 1.05.

    Every target is loaded in one process and put through the areas named here. It counts what each
    new architecture leaves for good: its code, its compiled kernels, pytest's reports of its cases.
    The second pass of a loop over the same targets meets no new ones: what grows there is a leak.
    """
    run = run_suite("-n0", "-m", " or ".join(LIGHT_AREAS))
    before = [
        case.measures["resident_bytes_before"]
        for case in run.cases
        if "resident_bytes_before" in case.measures
    ]
    tenth, last = before[9], before[min(299, len(before) - 1)]
    assert isinstance(tenth, int)
    assert isinstance(last, int)
    _, status, output = timed([sys.executable, "-m", "benchmarks.loop", "passes"])
    if status != 0:
        raise RuntimeError(output[-2000:])
    first, second = json.loads(output.split("FIGURES")[1].splitlines()[0])
    return {
        "targets": len(before),
        "resident_bytes_10": tenth,
        "resident_bytes_300": last,
        "ratio": round(last / tenth, 3),
        "resident_bytes_first_pass": first,
        "resident_bytes_second_pass": second,
        "ratio_of_passes": round(second / first, 3),
    }


FIGURES = {
    "collection": collection,
    "fit": fit,
    "isolation": isolation,
    "loads": loads,
    "overhead": overhead,
    "memory": memory,
    "page": page,
    "planning": planning,
    "prediction": prediction,
    "registry": registry,
    "speedup": speedup,
}
