"""The selection: which targets and cases a run is about.

The base set is twins, given folders and the facts check, on the devices that are there. A mark
expression brings in what lies outside of it only when it is about just that: true with the mark,
false without it. So `-m gpu` brings the GPU cases and `-m "not hooks"` downloads nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from compat.targets.mode import Mode
from compat.targets.plan import REGISTRY_WEIGHTS, PlannedTarget, plan_targets
from compat.targets.target import BARE, Device, Weights

if TYPE_CHECKING:
    from compat.registry.pair import Entry, PairSpec
    from compat.registry.spec import ModelSpec, Registry

Predicate = Callable[[frozenset[str]], bool]
"""Whether a mark expression is true for a set of marks."""

ON_REQUEST: frozenset[Mode | Weights] = frozenset({Weights.HUB, Mode.FP4})
"""What runs only when it is asked for, besides the devices that are not there."""

NameT = TypeVar("NameT", Mode, Weights, Device)


class SelectionError(ValueError):
    """Something was asked for that does not exist; the message lists what does."""


@dataclass(frozen=True)
class Request:
    """What was asked for by name. None stands for "not said": the defaults hold."""

    weights: frozenset[Weights] | None = None
    modes: frozenset[Mode] | None = None
    wrappers: tuple[str, ...] = (BARE,)
    models: tuple[str, ...] = ()
    """Ids, aliases or slugs."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Source and target, each an id, alias or slug."""
    families: tuple[str, ...] = ()
    per_family: int | None = None
    """Only the first so many models of each family."""


@dataclass(frozen=True)
class Selection:
    """Which of the planned targets and cases a run is about."""

    request: Request = Request()
    present: frozenset[Device] = frozenset({Device.CPU})
    """The devices of this machine."""
    expression: Predicate | None = None
    """A mark expression over the marks of a case; None where there is none."""
    decisive: bool = True
    """Whether the expression speaks of marks known here alone. Where it does not, others may add
    the mark later, and nothing of the base set is left out on its account."""
    models: frozenset[str] | None = None
    """Ids of models and pairs that the run is narrowed to; None: all. A pair both of whose models
    are among them is among them too."""
    given: frozenset[str] = frozenset()
    """Ids of models of the hub that were asked for as such: their hub weights are in the base
    set."""
    named: frozenset[str] = frozenset()
    """`slug-weights-device-mode` of targets that were named one by one: in, whatever else holds."""
    _decided: dict[tuple[Weights, Device, Mode, str, bool], bool] = field(
        default_factory=dict, repr=False, compare=False
    )

    def targets(
        self,
        entries: Iterable[Entry],
        local: Iterable[Entry] = (),
        unlisted: Iterable[ModelSpec] = (),
    ) -> Iterator[PlannedTarget]:
        """The targets that some case of this selection may be on, in plan order.

        `entries` are models and pairs of the registry, `local` those made for folders of this
        machine, `unlisted` models of the hub that are in no registry.
        """
        weights, devices = self._worth_planning()
        wrappers = self.request.wrappers
        planned = chain(
            plan_targets(entries, weights=weights, devices=devices, wrappers=wrappers),
            plan_targets(local, weights=(Weights.LOCAL,), devices=devices, wrappers=wrappers),
            plan_targets(unlisted, weights=(Weights.HUB,), devices=devices, wrappers=wrappers),
        )
        # An area can make an expression true, so no target may be judged without one.
        return (one for one in planned if self.expression is not None or self.reaches(one))

    def _worth_planning(self) -> tuple[tuple[Weights, ...], tuple[Device, ...]]:
        if self.expression is not None or self.named or self.given:
            return REGISTRY_WEIGHTS, tuple(Device)
        wanted = self.request.weights
        weights = (
            one
            for one in REGISTRY_WEIGHTS
            if (one not in ON_REQUEST if wanted is None else one in wanted)
        )
        return tuple(weights), tuple(device for device in Device if device in self.present)

    def reaches(self, planned: PlannedTarget, area: str = "") -> bool:
        """Whether a case of `area` on this target belongs to the selection."""
        target = planned.target
        if self.named and target.load_part in self.named:
            return True
        if self.models is not None and target.model not in self.models:
            ends = {spec.id for spec in planned.spec.models}
            if not ends <= self.models:
                return False
        given = target.model in self.given
        key = (target.weights, target.device, target.mode, area, given)
        if key not in self._decided:
            self._decided[key] = self._decide(planned, area)
        return self._decided[key]

    def _decide(self, planned: PlannedTarget, area: str) -> bool:
        if not self._asked_for(planned):
            return False
        outside = self._outside(planned)
        if self.expression is None or not (outside or self.decisive):
            return not outside
        marks = planned.marks | {area} if area else planned.marks
        if not self.expression(marks):
            return False
        # The hub's weights are brought in by being about the GPU, too: `-m gpu` on a workstation
        # is a wish to see the real checkpoints.
        on_gpu = planned.target.device is Device.GPU
        about_gpu = on_gpu and not self.expression(marks - {str(Device.GPU)})
        return all(
            not self.expression(marks - {mark}) or (mark == Weights.HUB and about_gpu)
            for mark in outside
        )

    def _asked_for(self, planned: PlannedTarget) -> bool:
        target, request = planned.target, self.request
        if request.modes is not None and target.mode not in request.modes:
            return False
        if target.weights is Weights.LOCAL:
            return True
        return request.weights is None or target.weights in request.weights

    def _outside(self, planned: PlannedTarget) -> tuple[str, ...]:
        """The marks of this target that put it outside of the base set."""
        target, request = planned.target, self.request
        marks = []
        if target.device not in self.present:
            marks.append(str(target.device))
        given = target.weights is Weights.HUB and target.model in self.given
        if request.weights is None and target.weights in ON_REQUEST and not given:
            marks.append(str(target.weights))
        if request.modes is None and target.mode in ON_REQUEST:
            marks.append(target.mode.mark)
        return tuple(marks)


def narrow(registry: Registry, request: Request) -> tuple[ModelSpec, ...]:
    """The models of `registry` that `request` names, in its order.

    Raises SelectionError for a model or a family that the registry does not have.
    """
    chosen = registry.models
    if request.models:
        ids = {_model(registry, name).id for name in request.models}
        chosen = tuple(spec for spec in chosen if spec.id in ids)
    if request.families:
        known = sorted({spec.family for spec in registry.models})
        for family in request.families:
            if family not in known:
                raise SelectionError(f"no family {family!r}; there are {', '.join(known)}")
        chosen = tuple(spec for spec in chosen if spec.family in request.families)
    if request.per_family is not None:
        chosen = tuple(_first_of_each_family(chosen, request.per_family))
    return chosen


def requested_pairs(registry: Registry, request: Request) -> tuple[PairSpec, ...]:
    """The pairs that `request` names, each once.

    Raises SelectionError for a model that the registry does not have.
    """
    from compat.registry.pair import pair_named
    from compat.registry.spec import UnknownModelError

    try:
        pairs = [pair_named(registry, source, target) for source, target in request.pairs]
    except UnknownModelError as error:
        raise SelectionError(f"--compat-pair: {error}") from error
    return tuple({pair.id: pair for pair in pairs}.values())


def entries_with(registry: Registry, pairs: Iterable[PairSpec]) -> tuple[Entry, ...]:
    """Every model and pair of `registry`, then those of `pairs` that it does not list."""
    from compat.registry.pair import entries_of

    listed = entries_of(registry)
    ids = {entry.id for entry in listed}
    return (*listed, *(pair for pair in pairs if pair.id not in ids))


def _model(registry: Registry, name: str) -> ModelSpec:
    from compat.registry.spec import UnknownModelError

    try:
        return registry.by_id(name)
    except UnknownModelError as error:
        raise SelectionError(str(error)) from error


def parse_names(kind: type[NameT], text: str, option: str) -> frozenset[NameT]:
    """Read a comma-separated list. Raises SelectionError for a name that is none of `kind`."""
    return frozenset(one_of(kind, name.strip(), option) for name in text.split(",") if name.strip())


def one_of(kind: type[NameT], name: str, where: str) -> NameT:
    """The member of `kind` called `name`. Raises SelectionError, listing what is allowed."""
    try:
        return kind(name)
    except ValueError:
        allowed = ", ".join(kind)
        raise SelectionError(f"{where}: {name!r} is none of {allowed}") from None


def _first_of_each_family(specs: Iterable[ModelSpec], count: int) -> Iterator[ModelSpec]:
    seen: Counter[str] = Counter()
    for spec in specs:
        if seen[spec.family] < count:
            seen[spec.family] += 1
            yield spec
