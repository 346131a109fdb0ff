"""From a target to a subject and back: requirements, checkpoint, load, warm-up, release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from compat.loading.load import LoadOptions, load
from compat.loading.reference import References
from compat.loading.release import release
from compat.loading.requirements import Policy, require
from compat.loading.store import CheckpointStore
from compat.loading.threads import threads_worth
from compat.outcomes import Stage, in_stage
from compat.registry.spec import ModelSpec
from compat.subject import ConfigSubject, Subject
from compat.targets import Target, Weights
from compat.targets.devices import Host
from compat.weights.hub import Hub
from compat.weights.source import find_checkpoint
from compat.weights.twin import default_cache
from compat.wrappers import Bare, Wrapper

BARE_ONLY: Mapping[str, Wrapper] = {"bare": Bare()}


@dataclass(frozen=True)
class Opening:
    """All that opening a target depends on besides the target."""

    host: Host
    policy: Policy = field(default_factory=Policy)
    options: LoadOptions = field(default_factory=LoadOptions)
    twin_cache: Path | None = None
    local: Mapping[str, Path] = field(default_factory=dict)
    """Folders of local weights by the model's name."""
    hub: Hub = field(default_factory=Hub)
    """What may be had from the hub; by default what is in its cache."""
    wrappers: Mapping[str, Wrapper] = field(default_factory=lambda: BARE_ONLY)
    announce: Callable[[str], None] | None = None
    """Told what takes long, such as teaching a twin."""

    @property
    def references(self) -> References:
        """Where references are stored: beside the twins."""
        return References((self.twin_cache or default_cache()) / "references", self.options)


@contextmanager
def open_subject(
    target: Target, spec: ModelSpec, opening: Opening
) -> Iterator[Subject | ConfigSubject]:
    """Load a target and release it on leaving.

    Raises CannotRun where something is missing before anything is loaded, and whatever teaching
    or loading raises; `compat.outcomes.stage_of` tells at which stage that was.
    """
    with in_stage(Stage.REQUIREMENTS):
        require(target, spec, opening.host, opening.policy)
    if target.weights is Weights.CONFIG:
        yield ConfigSubject(target, spec)
        return
    with in_stage(Stage.WEIGHTS):
        checkpoint = find_checkpoint(
            target,
            spec,
            twin_cache=opening.twin_cache,
            local=opening.local,
            hub=opening.hub,
            allow_pickle=opening.policy.allow_pickle,
            announce=opening.announce,
        )
    with in_stage(Stage.LOAD), ExitStack() as undo:
        undo.enter_context(threads_worth(checkpoint.folder))
        loaded = load(target, spec, checkpoint, opening.options)
        undo.callback(release, loaded)
        wrapper = opening.wrappers[target.wrapper]
        subject = wrapper.wrap(
            loaded.model,
            loaded.tokenizer,
            target=target,
            spec=spec,
            checkpoint=checkpoint,
            load_measures={**checkpoint.notes, **loaded.measures},
            reference=opening.references.provider(spec),
            store=CheckpointStore(opening.options, wrapper),
        )
        undo.callback(wrapper.unwrap, subject)
        subject.warm_up()
        opened = undo.pop_all()
    with opened:
        yield subject
