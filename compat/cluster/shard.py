"""The command that runs one job of a plan, wherever that is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from compat.cluster.plan import Job, Plan

SUITE = ("--pyargs", "compat.suite")


def command(plan_file: Path, plan: Plan, job: Job, arguments: Sequence[str]) -> list[str]:
    """The pytest that does it. Which targets they are stands in the plan, not on a line of it."""
    chosen = plan.chosen
    narrowing = [("-m", chosen.mark), ("-k", chosen.keyword)]
    return [
        *(sys.executable, "-m", "pytest", *SUITE),
        *(f"--compat-plan={plan_file}", f"--compat-job={job.index}"),
        f"--compat-wrapper={chosen.wrappers}",
        *(part for pair in narrowing if pair[1] for part in pair),
        *arguments,
    ]
