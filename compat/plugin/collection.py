"""Which cases pytest gets to see, under which ids, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import pytest

# pytest has no public name for what -k compares a word with.
from _pytest.mark import KeywordMatcher

from compat.plugin import fixtures
from compat.plugin.case import CHECK, NOTHING, SUBJECT, Asked, asked_of, parameter_of
from compat.plugin.job import loads_of_job
from compat.plugin.limits import Limits
from compat.plugin.marks import keyword_predicate, mark_predicate, names_in
from compat.plugin.naming import NamedCases
from compat.plugin.session import CompatSession
from compat.plugin.stash import PROBLEM
from compat.registry.load import RegistryError
from compat.results.visible import visible
from compat.targets import Kind, Weights
from compat.targets.nodepart import load_of
from compat.targets.plan import PlannedTarget, plan_cases
from compat.targets.selection import Selection, SelectionError

Keeps = Callable[[str, frozenset[str]], bool]
"""Whether `-k` will let an item of this bracketed part and these marks through."""


def takes_a_subject(metafunc: pytest.Metafunc) -> bool:
    """Whether a test function asks for this suite's `subject`, and not for another of that name."""
    found = metafunc.definition._fixtureinfo.name2fixturedefs.get(SUBJECT)
    return found is not None and found[-1].func.__module__ == fixtures.__name__


def generate_or_note(metafunc: pytest.Metafunc) -> None:
    """Give a test function its targets, or note why there are none for anybody."""
    try:
        generate(metafunc)
    except (RegistryError, SelectionError) as error:
        metafunc.config.stash[PROBLEM] = visible(str(error))
        _parametrize(metafunc, ())


def generate(metafunc: pytest.Metafunc) -> None:
    """Give a test function its targets, or its cases where it runs the suite's checks.

    Raises SelectionError or RegistryError.
    """
    session = CompatSession.of(metafunc.config)
    runs_checks = CHECK in metafunc.fixturenames
    _parametrize(metafunc, tuple(_asked(metafunc.definition, session, runs_checks)))


def _parametrize(metafunc: pytest.Metafunc, every: Sequence[Asked]) -> None:
    decorate = _MarksOf()
    parameters = [pytest.param(asked, id=asked.node_part, marks=decorate(asked)) for asked in every]
    nothing = pytest.param(NOTHING, id="nothing-selected")
    metafunc.parametrize(SUBJECT, parameters or [nothing], indirect=True)


def _asked(
    definition: pytest.Function, session: CompatSession, runs_checks: bool
) -> Iterator[Asked]:
    limits = Limits.of(definition, session)
    named = NamedCases.of(session.config, definition)
    job = loads_of_job(session.options, session.listed)
    selection = _selection(session, definition, limits, named, named.loads | (job or frozenset()))
    keeps = _keyword_filter(session.config, definition)
    targets = (
        one
        for one in selection.targets(session.listed, session.given.entries, session.unlisted)
        if limits.allow(one)
        and (job is None or one.target.load_part in job)
        and (not named.alone or one.target.load_part in named.loads)
        and (one.target.wrapper in session.options.request.wrappers or named.is_about(one.target))
    )
    every = _cases(targets, session, selection) if runs_checks else _alone(targets, selection)
    for asked in every:
        if named.alone and not _is_named(asked, named):
            continue
        marks = asked.planned.marks
        if keeps(asked.node_part, marks if asked.check is None else marks | {asked.check.area}):
            yield asked


def _cases(
    targets: Iterable[PlannedTarget], session: CompatSession, selection: Selection
) -> Iterator[Asked]:
    checks = tuple(session.catalogue)
    reached = plan_cases(
        targets, checks, lambda planned, check: selection.reaches(planned, check.area)
    )
    return (Asked(planned, check) for planned, check in reached)


def _alone(targets: Iterable[PlannedTarget], selection: Selection) -> Iterator[Asked]:
    """Targets for a person's own test: those with a model to run, and one alone."""
    for planned in targets:
        target = planned.target
        one_model = target.weights is not Weights.CONFIG and target.kind is Kind.MODEL
        if one_model and selection.reaches(planned):
            yield Asked(planned)


def _is_named(asked: Asked, named: NamedCases) -> bool:
    if asked.check is not None:
        return asked.node_part in named.parts
    # A person's own test may have parameters of its own behind the target.
    return any(part.startswith(asked.node_part) for part in named.parts)


def _selection(
    session: CompatSession,
    definition: pytest.Function,
    limits: Limits,
    named: NamedCases,
    loads: frozenset[str],
) -> Selection:
    text = session.config.getoption("markexpr")
    own_marks = frozenset(mark.name for mark in definition.iter_markers())
    request = session.options.request
    if limits.modes is not None and request.modes is None:
        request = replace(request, modes=limits.modes)
    others = (wrapper for wrapper in session.wrappers if wrapper not in request.wrappers)
    further = named.wrappers_among(others)
    request = replace(request, wrappers=(*request.wrappers, *further))
    return Selection(
        request=request,
        present=session.present,
        expression=mark_predicate(text, own_marks) if text else None,
        decisive=not text or names_in(text) <= own_marks | session.mark_names,
        models=session.models,
        given=session.named.from_hub,
        named=loads,
    )


def _keyword_filter(config: pytest.Config, definition: pytest.Function) -> Keeps:
    """Judge `-k` for items that pytest has not made yet, so that it need not make them."""
    text = config.getoption("keyword")
    if not text:
        return lambda node_part, marks: True
    is_true = keyword_predicate(text, KeywordMatcher.from_item(definition))
    return lambda node_part, marks: is_true((f"{definition.name}[{node_part}]", *marks))


class _MarksOf:
    """The marks of cases as pytest takes them; cases of a kind share them."""

    def __init__(self) -> None:
        self._made: dict[tuple[frozenset[str], str], tuple[pytest.MarkDecorator, ...]] = {}

    def __call__(self, asked: Asked) -> tuple[pytest.MarkDecorator, ...]:
        area = "" if asked.check is None else asked.check.area
        key = (asked.planned.marks, area)
        if key not in self._made:
            names = sorted({*asked.planned.marks, area} - {""})
            self._made[key] = tuple(getattr(pytest.mark, name) for name in names)
        return self._made[key]


def drop_empty(items: list[pytest.Item]) -> list[pytest.Item]:
    """Take out, and return, what stands for tests that the selection has left without a target."""
    empty = [item for item in items if parameter_of(item) is NOTHING]
    if empty:
        items[:] = [item for item in items if parameter_of(item) is not NOTHING]
    return empty


def keep_together(items: list[pytest.Item]) -> None:
    """Put the cases of a target together where its first one stands; the rest stays in place."""
    first: dict[str, int] = {}
    place: dict[pytest.Item, int] = {}
    for index, item in enumerate(items):
        load = load_of(item.nodeid) if asked_of(item) is not None else None
        place[item] = index if load is None else first.setdefault(load, index)
    items.sort(key=place.__getitem__)
