"""The options of `compat fit`, light enough to be declared with every other command's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RegistryOption = Annotated[
    Path | None,
    typer.Option("--registry", metavar="FILE", help="The registry. By default models.yaml."),
]


def fit_command(
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="SIZE", help="24GB, 80GiB, 2x24GB. By default what is free."),
    ] = None,
    ram: Annotated[
        str | None,
        typer.Option("--ram", metavar="SIZE", help="Main memory. By default what is free here."),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--models", metavar="GLOB", help="Such as 'llama*'. Repeatable."),
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option("--pair", metavar="A:B", help="An adapter from A to B. Repeatable."),
    ] = None,
    modes: Annotated[str, typer.Option("--modes", metavar="MODES", help="Such as bf16,nf4.")] = "",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Texts at a time.")] = 1,
    length: Annotated[int, typer.Option("--length", min=1, help="Tokens of each.")] = 512,
    attention: Annotated[
        str, typer.Option("--attention", metavar="NAME", help="eager or sdpa.")
    ] = "sdpa",
    effective_batch: Annotated[
        int, typer.Option("--effective-batch", min=1, help="Texts to a step of pair training.")
    ] = 12,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write it there: .csv, .json or .md."),
    ] = None,
    registry: RegistryOption = None,
) -> None:
    """What fits into which memory, from configs alone: no weights, no network, no GPU."""
    from compat.cli.fitting import Asked, show_fit

    asked = Asked(
        gpu=gpu,
        ram=ram,
        models=tuple(models or ()),
        pairs=tuple(pair or ()),
        modes=modes,
        batch=batch,
        length=length,
        attention=attention,
        effective_batch=effective_batch,
        export=export,
    )
    show_fit(asked, registry)
