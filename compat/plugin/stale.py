"""Known failures that no case of the whole registry and catalogue can show: they stop the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from compat.registry.failures import refuse_stale_rows, stale_rows
from compat.registry.pair import Entry, entries_of
from compat.registry.spec import Registry
from compat.targets.plan import Plannable, plan_cases, plan_targets
from compat.targets.target import CaseId


def refuse_stale(registry: Registry, checks: tuple[Plannable, ...], file: str) -> None:
    """Raise RegistryError for stale rows, judged on the whole and never on a selection."""
    if stale_rows(registry, _cases_in_question(registry, checks)):
        # Only the whole of the cases tells what a row nearly fits.
        refuse_stale_rows(registry, _cases(entries_of(registry), checks), file)


def _cases_in_question(registry: Registry, checks: tuple[Plannable, ...]) -> Iterator[CaseId]:
    """The cases that some row may be about, which are few, and quickly gone through."""
    for_all = {row.check for row in registry.known_failures}
    for entry in entries_of(registry):
        asked = for_all | {row.check for row in entry.known_failures}
        named = tuple(check for check in checks if _is_one_of(check.name, asked))
        if named:
            yield from _cases((entry,), named)


def _is_one_of(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _cases(entries: Iterable[Entry], checks: tuple[Plannable, ...]) -> Iterator[CaseId]:
    for planned, check in plan_cases(plan_targets(entries), checks):
        target = planned.target
        yield CaseId(
            target.model, target.weights, target.device, target.mode, target.wrapper, check.name
        )
