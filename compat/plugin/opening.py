"""From a planned target to the loader: the one place of the plugin that leads to torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from compat.outcomes import Stage, in_stage
from compat.targets import Target, Weights
from compat.targets.plan import PlannedTarget

if TYPE_CHECKING:
    from compat.loading.open import Opening
    from compat.plugin.folders import GivenFolders
    from compat.plugin.options import Options
    from compat.plugin.shelf import Shelf
    from compat.plugin.wrappers import WrapperFactory
    from compat.registry.spec import ModelSpec
    from compat.runner import AnySubject
    from compat.targets.devices import Host
    from compat.weights.hub import Hub


class Means(Protocol):
    """What a run has to open targets with."""

    @property
    def options(self) -> Options:
        """What the command line and the ini file ask for."""

    @property
    def host(self) -> Host:
        """This machine."""

    @property
    def hub(self) -> Hub:
        """The hub as this process may use it."""

    @property
    def given(self) -> GivenFolders:
        """The folders given on the command line."""

    @property
    def wrappers(self) -> Mapping[str, WrapperFactory]:
        """Every wrapper that somebody offers."""

    @property
    def shelf(self) -> Shelf:
        """What is loaded and waits for the next target that shares it."""

    def announce(self, text: str) -> None:
        """Tell the person at the terminal what takes long."""


def open_planned(planned: PlannedTarget, session: Means) -> AbstractContextManager[AnySubject]:
    """Open a target as the options of this run say."""
    from compat.fit.judge import Fitting
    from compat.loading.requirements import require
    from compat.weights.consent import Policy
    from compat.weights.hub import Wanted

    options = session.options
    policy = Policy(allow_remote_code=options.allow_remote_code, allow_pickle=options.allow_pickle)
    with in_stage(Stage.REQUIREMENTS):
        # Judged before torch is imported: what can't run here is said at once.
        for target, spec in planned.parts:
            require(target, spec, session.host)
        fitting = Fitting()
        if not session.shelf.holds(planned.target.load_key) and _obtainable(planned, session.hub):
            fitting.require(planned.parts)

    with in_stage(Stage.WEIGHTS):
        for target, spec in planned.parts:
            if target.weights is Weights.HUB:
                session.hub.snapshot(Wanted.of(spec))

    from compat.loading.load import LoadOptions
    from compat.loading.open import Opening, open_subject
    from compat.loading.open_pair import open_pair
    from compat.registry.pair import PairSpec

    opening = Opening(
        host=session.host,
        policy=policy,
        options=LoadOptions(
            allow_remote_code=options.allow_remote_code, allow_pickle=options.allow_pickle
        ),
        twin_cache=options.twin_cache,
        local=session.given.paths,
        hub=session.hub,
        announce=session.announce,
        fitting=fitting,
    )
    if isinstance(planned.spec, PairSpec):
        return open_pair(planned.target, planned.spec, opening)
    if planned.target.weights is Weights.CONFIG:
        return open_subject(planned.target, planned.spec, opening)
    return _open_shared(planned.target, planned.spec, opening, session)


def _obtainable(planned: PlannedTarget, hub: Hub) -> bool:
    """Whether all weights are here or may be fetched: if not, that is what there is to say."""
    from compat.weights.hub import Wanted

    wanted = [Wanted.of(spec) for target, spec in planned.parts if target.weights is Weights.HUB]
    return hub.access.may_download or all(hub.complete(one) is not None for one in wanted)


@contextmanager
def _open_shared(
    target: Target, spec: ModelSpec, opening: Opening, session: Means
) -> Iterator[AnySubject]:
    """Wrap what is on the shelf already where another wrapper has just had it."""
    from compat.loading.open import open_load

    wrapper = session.wrappers[target.wrapper]()
    shared = session.shelf.take(target.load_key, lambda: open_load(target, spec, opening))
    with shared.wrapped(target, wrapper) as subject:
        yield subject
