"""`python -m benchmarks [NAME ...]`: measure, print, and keep in results.json."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import FIGURES
from compat.targets.devices import this_host

RESULTS = Path(__file__).with_name("results.json")


def main(names: list[str]) -> int:
    """Measure the named figures, or all; a name that is none ends it with 2."""
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        print(f"no such figure: {', '.join(unknown)}; there are {', '.join(FIGURES)}")
        return 2
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    host = this_host()
    for name in names or FIGURES:
        print(f"measuring {name} ...", flush=True)
        figures = FIGURES[name]()
        print(f"  {figures}", flush=True)
        results[name] = {
            "goal": (FIGURES[name].__doc__ or "").strip().splitlines()[0],
            "measured": figures,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{host.cpu}, {host.cores} cores",
            "packages": dict(host.packages),
        }
        RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
