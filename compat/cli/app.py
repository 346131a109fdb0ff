"""The commands, and how they end: 0 done, 1 found something wrong, 2 a usage error."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from compat.cli.fit_command import RegistryOption, fit_command
from compat.cli.plan_command import plan_command, run_shard_command
from compat.cli.ray_command import OptionalAddress, run_command
from compat.outcomes import Blame
from compat.registry.load import RegistryError
from compat.results.visible import visible
from compat.targets.selection import SelectionError

USAGE_ERROR = 2

DOCTOR_HELP = """What the suite finds for one MODEL on this machine, step by step; of the machine
itself where no model is given.

Exit codes: 0 it works; 1 something is wrong with the model; 2 usage; 3 this machine or its access
stands in the way; 4 the suite failed; 130 interrupted. The report is written in any case."""

app = typer.Typer(
    help="Compatibility of language models: what the tests do not do. To test, run pytest.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("fit")(fit_command)
app.command("plan")(plan_command)
TO_PYTEST = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command("run-shard", context_settings=TO_PYTEST)(run_shard_command)
app.command("run", cls=OptionalAddress, context_settings=TO_PYTEST)(run_command)


def main() -> None:
    """Run the command line; what a person got wrong is one line and exit code 2."""
    try:
        app()
    except (RegistryError, SelectionError) as error:
        print(f"compat: {visible(str(error))}", file=sys.stderr)
        raise SystemExit(USAGE_ERROR) from None


@app.command("list")
def list_command(
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
    modes: Annotated[str, typer.Option("--modes", metavar="MODES", help="Such as fp32,nf4.")] = "",
    registry: RegistryOption = None,
) -> None:
    """What pytest would run with such a selection, and what is blocked here and why."""
    from compat.cli.listing import Asked, show_list

    show_list(Asked(mark, keyword, tuple(model or ()), families, weights, modes), registry)


@app.command("twin")
def twin_command(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Id, alias or slug.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write the checkpoint there, too."),
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="With -o: at full size, with random weights, file by file."),
    ] = False,
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Teach every model of the registry, ahead of a run.")
    ] = False,
    family: Annotated[
        str, typer.Option("--family", metavar="NAMES", help="With --all: only these families.")
    ] = "",
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="With --all: how many to teach at once.")
    ] = 2,
    registry: RegistryOption = None,
) -> None:
    """Make the twin of a model: a small checkpoint of its kind that was taught to recite a text."""
    from compat.cli.twins import make_all, make_full, make_one

    if all_of_them == (model is not None):
        raise typer.BadParameter("give either MODEL or --all")
    if full:
        if model is None or output is None:
            raise typer.BadParameter("--full goes with one MODEL and -o DIR")
        raise typer.Exit(make_full(model, output, registry))
    if model is not None:
        raise typer.Exit(make_one(model, output, registry))
    if output is not None:
        raise typer.BadParameter("-o goes with one MODEL")
    raise typer.Exit(make_all(family, registry, workers))


@app.command("report")
def report_command(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="Records, or folders with *.jsonl below them."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where to write the report.")
    ] = Path("reports"),
    stale_after: Annotated[
        float,
        typer.Option(
            "--stale-after", metavar="DAYS", min=0, help="Mark results that are older as stale."
        ),
    ] = 30,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="Show what changed since these records."),
    ] = None,
    ctrf: Annotated[
        Path | None,
        typer.Option(
            "--ctrf",
            metavar="FILE",
            help="Write the results in the Common Test Report Format, too.",
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Say which of its jobs have no result."),
    ] = None,
    registry: RegistryOption = None,
) -> None:
    """Merge the records of any number of runs, machines and days into one report.

    Exits with 1 where a run, or the plan, had set out to do what has no result.
    """
    from compat.cli.reporting import make_report

    lasting = timedelta(days=stale_after)
    raise typer.Exit(make_report(files, output, registry, lasting, baseline, ctrf, plan))


@app.command("diff")
def diff_command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Records: a file, or a folder.")],
    new: Annotated[
        Path | None, typer.Argument(metavar="NEW", help="Those of now. By default OLD again.")
    ] = None,
    environments: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--environments", metavar="OLD NEW", help="Compare these environments, given by id."
        ),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it for a pull request's comment.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as a page.")] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every change, for programs.")
    ] = None,
    registry: RegistryOption = None,
) -> None:
    """What changed between two sets of records: regressed, fixed, flaky, new, removed, moved.

    Exits with 1 where something regressed, fails from the start, or passes unexpectedly.
    """
    from compat.cli.diff import Written, show_diff

    if new is None and environments is None:
        raise typer.BadParameter("give OLD and NEW, or --environments")
    written = Written(markdown, html, json)
    raise typer.Exit(show_diff(old, new, environments, written, registry))


@app.command("expect")
def expect_command(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="Records, or folders with *.jsonl below them."),
    ],
    update: Annotated[
        bool, typer.Option("--update", help="Write models.yaml; without it, only show.")
    ] = False,
    cases: Annotated[
        str, typer.Option("--cases", metavar="GLOB", help="Only these, such as '*/recites_freely'.")
    ] = "*",
    blame: Annotated[
        Blame | None, typer.Option("--blame", help="For new rows: who has to act.")
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="For new rows: why it fails.")
    ] = "",
    issue: Annotated[
        str | None, typer.Option("--issue", metavar="URL", help="For new rows: the report of it.")
    ] = None,
    registry: RegistryOption = None,
) -> None:
    """Hold the known failures of models.yaml against records: rows go, and rows come.

    A row goes when all its cases that ran pass. For a failure a row comes when you say with --blame
    and --reason what no record knows. Exits with 1 while the file is not as the records say.
    """
    from compat.cli.expect import Said, expect

    if (blame is None) is not (reason == ""):
        raise typer.BadParameter("--blame and --reason go together")
    said = None if blame is None else Said(blame, reason, issue)
    raise typer.Exit(expect(files, registry, cases=cases, said=said, update=update))


@app.command("add")
def add_command(
    model: Annotated[str, typer.Argument(metavar="ORG/NAME[@REVISION]", help="On the hub.")],
    registry: RegistryOption = None,
) -> None:
    """Write a model's entry into models.yaml, from its config and the headers of its weights."""
    from compat.cli.adding import add_model

    raise typer.Exit(add_model(model, registry))


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of models.yaml."""
    from compat.registry.schema import schema_text

    sys.stdout.write(schema_text())


@app.command("doctor", help=DOCTOR_HELP)
def doctor_command(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Id, alias, slug, org/name[@revision], or folder."),
    ] = "",
    modes: Annotated[str, typer.Option("--modes", metavar="MODES", help="Such as fp32,nf4.")] = "",
    weights: Annotated[
        str,
        typer.Option("--weights", metavar="KIND", help="hub or twin, where a model has both."),
    ] = "",
    device: Annotated[
        str, typer.Option("--device", metavar="DEVICE", help="cpu or gpu. By default what is here.")
    ] = "",
    download: Annotated[
        str, typer.Option("--download", metavar="GB", help="GB that may be downloaded, or any.")
    ] = "",
    allow_remote_code: Annotated[
        bool, typer.Option("--allow-remote-code", help="Run the code that a checkpoint brings.")
    ] = False,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read pickled weights, which can run any code.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="The report. By default reports/doctor/MODEL."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs, in one piece.")] = False,
    registry: RegistryOption = None,
) -> None:
    """Examine one model; see `DOCTOR_HELP`."""
    if not model:
        from compat.cli.doctor import show_doctor

        show_doctor(registry)
        return
    from compat.cli.consultation import Asked, consult

    asked = Asked(
        model, modes, weights, device, download, allow_remote_code, allow_pickle, output, as_json
    )
    raise typer.Exit(consult(asked, registry))
