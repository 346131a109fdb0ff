"""`compat run --ray`: all jobs of a plan on a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from compat.cli.plan_command import PLAN_FILE
from compat.results.visible import visible
from compat.targets.selection import SelectionError

if TYPE_CHECKING:
    from compat.cluster.ray_driver import JobEnd

RAY, AUTO = "--ray", "auto"
RECORDS = Path("reports/runs")
DONE, WRONG, INTERRUPTED = 0, 1, 130


class OptionalAddress(TyperCommand):
    """A command whose `--ray` may stand without an address, which Typer has no word for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with the address put in where there is none."""
        # Any: the context is click's, or in newer versions Typer's own.
        return super().parse_args(ctx, with_address(args))


def with_address(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--ray=auto` where `--ray` is followed by another option, or nothing."""
    given = list(arguments)
    for place, argument in enumerate(given):
        following = given[place + 1 : place + 2]
        if argument == RAY and (not following or following[0].startswith("-")):
            given[place] = f"{RAY}={AUTO}"
    return given


def run_command(
    context: typer.Context,
    ray: Annotated[
        str,
        typer.Option(
            RAY,
            metavar="[ADDRESS]",
            help="HOST:PORT of a Ray cluster; by default RAY_ADDRESS, or the one this machine is "
            "in. A job goes to a node that advertises its machine's label.",
        ),
    ],
    plan: Annotated[
        Path, typer.Option("--plan", metavar="FILE", help="What `compat plan` wrote.")
    ] = PLAN_FILE,
    records: Annotated[
        Path,
        typer.Option(
            "--compat-records", metavar="DIR", help="Where the records of all jobs come to."
        ),
    ] = RECORDS,
    cpus: Annotated[
        int, typer.Option("--cpus", min=1, help="Of a job, and threads it computes in.")
    ] = 1,
) -> None:
    """Run all jobs of a plan on a Ray cluster. Whatever else is given goes to pytest.

    Every node needs this folder under the same path. A job that is killed goes on once in a fresh
    worker. Exits with 1 where pytest failed in a job or a job was lost, 130 after Ctrl-C.
    """
    raise typer.Exit(run_on_ray(ray, plan, records, cpus, context.args))


def run_on_ray(
    address: str, plan_file: Path, records: Path, cpus: int, arguments: Sequence[str]
) -> int:
    """Run the jobs, and return the exit status. Raises SelectionError."""
    from compat.cluster.plan import PlanFileError, read_plan
    from compat.cluster.ray_demand import Demand
    from compat.cluster.ray_driver import ClusterError, Dispatch, connected
    from compat.cluster.ray_task import Task

    try:
        plan = read_plan(plan_file)
        demands = {job.index: Demand.of(plan, job, cpus) for job in plan.jobs}
    except PlanFileError as error:
        raise SelectionError(str(error)) from None
    report = f"compat report {records} --plan {plan_file}"
    tasks = [Task.of(plan, job, Path.cwd(), arguments) for job in plan.jobs]
    try:
        with connected(address) as ray:
            ends = Dispatch(ray, demands, records, _say).run(tasks)
    except ClusterError as error:
        raise SelectionError(str(error)) from None
    except KeyboardInterrupt:
        _say(f"interrupted; what was recorded is kept: {report}")
        return INTERRUPTED
    except OSError as error:
        raise SelectionError(f"{records} can't be written: {error.strerror}") from None
    _say(f"all jobs have ended: {report}")
    return _status(ends.values())


def _status(ends: Iterable[JobEnd]) -> int:
    return DONE if all(end.status == 0 for end in ends) else WRONG


def _say(line: str) -> None:
    print(f"compat run: {visible(line)}", file=sys.stderr, flush=True)
