"""The options of `compat plan` and `compat run-shard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compat.cli.fit_command import RegistryOption

PLAN_FILE = Path("plan.json")


def plan_command(
    machine: Annotated[
        list[str],
        typer.Option(
            "--machine",
            metavar="LABEL=GPU[,RAM]",
            help="A kind of machine: gpu-24=24GB,64GB, big=2x80GB, ubuntu-latest=cpu. Repeatable.",
        ),
    ],
    mark: Annotated[
        str, typer.Option("-m", metavar="EXPRESSION", help="As pytest's -m: marks of the cases.")
    ] = "",
    keyword: Annotated[
        str, typer.Option("-k", metavar="EXPRESSION", help="As pytest's -k: words in the ids.")
    ] = "",
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME", help="Only this model. Repeatable."),
    ] = None,
    families: Annotated[
        str, typer.Option("--families", metavar="NAMES", help="Only these, comma-separated.")
    ] = "",
    weights: Annotated[
        str, typer.Option("--weights", metavar="KINDS", help="twin, hub, config.")
    ] = "",
    modes: Annotated[str, typer.Option("--modes", metavar="MODES", help="Such as bf16,nf4.")] = "",
    wrappers: Annotated[
        str, typer.Option("--wrapper", metavar="NAMES", help="What stands around the models.")
    ] = "bare",
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=256, help="At most; a matrix of GitHub's has 256.")
    ] = 8,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.1, help="No more jobs than it takes to last this long."),
    ] = None,
    records: Annotated[
        list[Path] | None,
        typer.Option("--records", metavar="FILE", help="Earlier records: how long targets took."),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE")] = PLAN_FILE,
    github: Annotated[
        bool,
        typer.Option("--github", help="Say `matrix=...` to $GITHUB_OUTPUT, or print it."),
    ] = False,
    registry: RegistryOption = None,
) -> None:
    """Pack targets into jobs for many machines: no target is split, the longest go first.

    A target goes to the smallest kind of machine that it is predicted to fit. Exits with 1 where
    some fit none; they are in the plan with the reason.
    """
    from compat.cli.planning import Asked, plan_jobs
    from compat.cluster.plan import Chosen

    chosen = Chosen(
        mark=mark,
        keyword=keyword,
        models=tuple(model or ()),
        families=families,
        weights=weights,
        modes=modes,
        wrappers=wrappers,
    )
    asked = Asked(
        chosen=chosen,
        machines=tuple(machine),
        jobs=jobs,
        minutes=minutes,
        records=tuple(records or ()),
        output=output,
        github=github,
    )
    raise typer.Exit(plan_jobs(asked, registry))


def run_shard_command(
    context: typer.Context,
    plan: Annotated[
        Path, typer.Option("--plan", metavar="FILE", help="What `compat plan` wrote.")
    ] = PLAN_FILE,
    index: Annotated[
        int | None,
        typer.Option(
            "--index",
            min=0,
            help="Which job. By default COMPAT_SHARD, SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX.",
        ),
    ] = None,
) -> None:
    """Run one job of a plan. Whatever else is given goes to pytest: -n, --compat-download, ..."""
    from compat.cli.sharding import run_shard

    raise typer.Exit(run_shard(plan, index, context.args))
