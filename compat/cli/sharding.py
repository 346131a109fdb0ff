"""`compat run-shard`: one job of a plan, the same command on every kind of cluster."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from compat.cluster.plan import PlanFileError, read_plan
from compat.cluster.shard import command
from compat.targets.selection import SelectionError

INDEX_VARIABLES = ("COMPAT_SHARD", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX")
"""Where a job finds its number: given by hand or a workflow, by Slurm, by Kubernetes."""


def run_shard(plan_file: Path, index: int | None, arguments: Sequence[str]) -> int:
    """Run pytest over the targets of one job, and return its exit status.

    Raises SelectionError where there is no such plan or job.
    """
    try:
        plan = read_plan(plan_file)
        job = plan.job(index_of(os.environ) if index is None else index)
    except PlanFileError as error:
        raise SelectionError(str(error)) from None
    print(f"compat run-shard: job {job.index}: {len(job.targets)} targets", flush=True)
    return subprocess.call(command(plan_file, plan, job, arguments))


def index_of(environment: Mapping[str, str]) -> int:
    """The job's number from the environment. Raises SelectionError."""
    for name in INDEX_VARIABLES:
        text = environment.get(name)
        if text:
            if not text.isdecimal():
                raise SelectionError(f"{name} is {text!r}, and no number of a job")
            return int(text)
    raise SelectionError(f"which job? give --index, or set one of {', '.join(INDEX_VARIABLES)}")
