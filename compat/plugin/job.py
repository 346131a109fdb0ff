"""A job of a plan: the targets that this run is about, whatever else would be selected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from compat.targets.plan import plan_targets
from compat.targets.selection import SelectionError

if TYPE_CHECKING:
    from compat.plugin.options import Options
    from compat.registry.pair import Entry

NAMED = 3


def loads_of_job(options: Options, entries: Iterable[Entry]) -> frozenset[str] | None:
    """The job's targets as `slug-weights-device-mode`; None where this run is no job.

    Raises SelectionError for a plan that can't be read, or made for another registry.
    """
    if options.plan is None:
        return None
    from compat.cluster.plan import PlanFileError, read_plan

    try:
        job = read_plan(options.plan).job(options.job)
    except PlanFileError as error:
        raise SelectionError(f"--compat-plan: {error}") from None
    known = {planned.target.load_part for planned in plan_targets(entries)}
    unknown = [target for target in job.targets if target not in known]
    if unknown:
        shown = ", ".join(unknown[:NAMED])
        raise SelectionError(
            f"--compat-plan: the registry has no {shown}"
            + (f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else "")
            + ": the plan was made for another one; make it anew with `compat plan`"
        )
    return frozenset(job.targets)
