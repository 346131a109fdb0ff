"""From a target to a subject and back: requirements, checkpoint, load, warm-up, release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from compat.fit import Task
from compat.fit.judge import Fitting, Judgement
from compat.loading.load import LoadOptions, load
from compat.loading.loaded import Loaded
from compat.loading.reference import References
from compat.loading.reference_store import FOLDER, ReferenceStore
from compat.loading.release import release
from compat.loading.requirements import require
from compat.loading.store import CheckpointStore
from compat.loading.threads import threads_worth
from compat.outcomes import Stage, in_stage
from compat.registry.spec import ModelSpec
from compat.subject import ConfigSubject, Subject
from compat.subject.pristine import outline
from compat.targets import Checkpoint, Target, Weights
from compat.targets.devices import Host
from compat.weights.consent import Policy
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
    fitting: Fitting = field(default_factory=Fitting)
    """What judges, before anything is fetched or loaded, whether it fits."""

    @property
    def references(self) -> References:
        """Where references are stored: beside the twins."""
        store = ReferenceStore((self.twin_cache or default_cache()) / FOLDER)
        return References(store, self.options, self.fitting)


@dataclass(frozen=True)
class SharedLoad:
    """A loaded checkpoint, shared by targets that differ in the wrapper alone."""

    loaded: Loaded
    spec: ModelSpec
    checkpoint: Checkpoint
    opening: Opening
    fit: Judgement | None = None
    """What it was predicted to take, and what was free before."""

    @contextmanager
    def wrapped(self, target: Target, wrapper: Wrapper) -> Iterator[Subject]:
        """Wrap the model for a target, and take the wrapper off on leaving.

        Raises NotPristineError, on leaving, where the wrapper does not leave the model as it was.
        """
        model = self.loaded.model
        assert model is not None, "the load was released"
        with in_stage(Stage.LOAD), promised_to_fit(self.fit), ExitStack() as undo:
            bare = outline(model)
            subject = wrapper.wrap(
                model,
                self.loaded.tokenizer,
                target=target,
                spec=self.spec,
                checkpoint=self.checkpoint,
                load_measures={
                    **self.checkpoint.notes,
                    **self.loaded.measures,
                    **(self.fit.measures if self.fit else {}),
                },
                reference=self.opening.references.provider(self.spec),
                store=CheckpointStore(self.opening.options, wrapper),
            )
            undo.callback(wrapper.unwrap, subject)
            subject.fit = self.fit
            subject.warm_up()
            wrapped = outline(model)
            opened = undo.pop_all()
        with opened:
            yield subject
            self.opening.references.keep(subject)
            # What a check has left behind is no fault of the wrapper's.
            untouched = outline(model) == wrapped
        if untouched:
            bare.require_equal(outline(model))


def promised_to_fit(fit: Judgement | None) -> AbstractContextManager[None]:
    """Have memory that runs out in loading and in a first forward say what was predicted."""
    return nullcontext() if fit is None else fit.promised(Task.FORWARD)


@contextmanager
def open_load(target: Target, spec: ModelSpec, opening: Opening) -> Iterator[SharedLoad]:
    """Load what targets that share `load_key` have in common, and release it on leaving.

    Raises as `open_subject` does.
    """
    with in_stage(Stage.REQUIREMENTS):
        require(target, spec, opening.host)
        fit = opening.fitting.require(((target, spec),))
    with in_stage(Stage.WEIGHTS):
        checkpoint = find_checkpoint(
            target,
            spec,
            twin_cache=opening.twin_cache,
            local=opening.local,
            hub=opening.hub,
            policy=opening.policy,
            announce=opening.announce,
        )
    with in_stage(Stage.LOAD), promised_to_fit(fit), ExitStack() as undo:
        undo.enter_context(threads_worth(checkpoint.folder))
        loaded = load(target, spec, checkpoint, opening.options)
        undo.callback(release, loaded)
        opened = undo.pop_all()
    with opened:
        yield SharedLoad(loaded, spec, checkpoint, opening, fit)


@contextmanager
def open_subject(
    target: Target, spec: ModelSpec, opening: Opening
) -> Iterator[Subject | ConfigSubject]:
    """Load a target and release it on leaving.

    Raises CannotRun where something is missing before anything is loaded, and whatever teaching
    or loading raises; `compat.outcomes.stage_of` tells at which stage that was.
    """
    if target.weights is Weights.CONFIG:
        with in_stage(Stage.REQUIREMENTS):
            require(target, spec, opening.host)
        yield ConfigSubject(target, spec)
        return
    wrapper = opening.wrappers[target.wrapper]
    with open_load(target, spec, opening) as shared, shared.wrapped(target, wrapper) as subject:
        yield subject
