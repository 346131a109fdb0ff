"""How long `compat fit` takes where nothing is kept from before."""

from __future__ import annotations

import json
import sys
import time
from statistics import median
from typing import Any

from benchmarks.runs import empty_folder, timed

Figures = dict[str, Any]


def fit() -> Figures:
    """`compat fit --gpu 80GB`, nothing kept from before: at most 3 s a model.

    Seconds of one core for all modes of a model, three batches of 512 tokens forward and backward.
    What transformers imports for an architecture counts for the first model that has it; importing
    torch and transformers does not, and is in the total.
    """
    total, status, output = timed([sys.executable, "-m", "benchmarks.fitting"])
    if status != 0:
        raise RuntimeError(output[-2000:])
    seconds: dict[str, float] = json.loads(output.split("FIGURES")[1].splitlines()[0])
    slowest = sorted(seconds, key=lambda name: -seconds[name])
    return {
        "models": len(seconds),
        "median_seconds": round(median(seconds.values()), 2),
        "largest_seconds": round(seconds[slowest[0]], 2),
        "over_goal": {name: round(seconds[name], 1) for name in slowest if seconds[name] > 3},
        "total_seconds": round(total, 1),
    }


def cold_seconds() -> dict[str, float]:
    """Seconds of this process by model of the registry."""
    import torch
    import transformers

    from compat.fit import Facts
    from compat.fit.room import Room
    from compat.fit.tabulate import Question, rows_of
    from compat.registry.load import default_registry_path, load_registry
    from compat.targets import Device

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    question = Question(Device.GPU, Room((80 * 10**9,), 10**12, 10**12))
    found: dict[str, float] = {}
    with empty_folder() as folder:
        for spec in load_registry(default_registry_path()).models:
            began = time.process_time()
            rows_of(spec, question, Facts(folder))
            found[spec.slug] = time.process_time() - began
    return found


if __name__ == "__main__":
    print("FIGURES" + json.dumps(cold_seconds()))
