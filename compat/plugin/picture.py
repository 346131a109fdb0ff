"""The lines that show how a run stands, laid out by rich."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compat.outcomes import Stage
from compat.plugin.activity import Activity
from compat.plugin.tally import Standing
from compat.plugin.workers import MAIN
from compat.results.duration import duration
from compat.results.visible import visible

GIGABYTE = 1e9
SHARE_OF_THE_SCREEN = 3
"""The lines below take at most one part in so many."""


def picture(
    standing: Standing, activities: Sequence[Activity], now: float, size: os.terminal_size
) -> list[str]:
    """A line on the whole run, then one a process, as many as there is room for."""
    room = max(1, size.lines // SHARE_OF_THE_SCREEN - 2)
    shown, rest = activities[:room], len(activities) - room
    table = Table.grid(padding=(0, 2))
    for style in ("dim", "bold", "", "cyan", "cyan"):
        right = style == "cyan"
        table.add_column(
            style=style, no_wrap=True, overflow="crop", justify="right" if right else "left"
        )
    for one in shown:
        cells = (one.worker, visible(one.target), visible(one.doing), *amounts(one))
        table.add_row(*map(Text, cells))
    # One column is left free: in the last one some terminals begin a new line.
    console = Console(
        file=io.StringIO(), force_terminal=True, width=size.columns - 1, legacy_windows=False
    )
    with console.capture() as captured:
        console.print(Text(summary(standing, len(activities), now)), no_wrap=True, crop=True)
        if shown:
            console.print(table)
        if rest > 0:
            console.print(Text(f"and {rest} more"), style="dim")
    return [line.rstrip() for line in captured.get().splitlines()]


def amounts(activity: Activity) -> tuple[str, str]:
    """For how long it has been doing that, and its memory."""
    return duration(activity.seconds), f"{activity.resident / GIGABYTE:.1f} GB"


def in_a_line(activity: Activity) -> str:
    """A stage of a target that takes long."""
    what = "checks" if activity.stage is Stage.CHECK else str(activity.stage)
    who = "" if activity.worker == MAIN else f"[{activity.worker}] "
    memory = f"{activity.resident / GIGABYTE:.1f} GB"
    took = duration(activity.seconds_for_target)
    return visible(f"{who}{activity.target}: {what}, {took} so far, {memory}")


def summary(standing: Standing, running: int, now: float) -> str:
    """The whole run in a line."""
    running = min(running, standing.targets - standing.complete)
    waiting = standing.targets - standing.complete - running
    parts = [
        f"{standing.complete} of {standing.targets} targets done",
        f"{running} running",
        f"{waiting} waiting",
    ]
    if standing.failing:
        parts.append(f"{standing.failing} {'case' if standing.failing == 1 else 'cases'} failing")
    parts.append(f"{duration(now - standing.began)} so far")
    if standing.ends is not None and standing.ends > now:
        parts.append(f"about {duration(standing.ends - now)} left")
    return ", ".join(parts)
