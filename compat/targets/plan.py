"""The plan: every target and every case there is, in one order, for pytest, the CLI and a notebook.

Order: models as the registry lists them, then its pairs; then weights (config, twin, hub), device,
mode (fp32 first), wrapper; checks as the catalogue lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from compat.targets.capabilities import known_capabilities, makes_sense
from compat.targets.mode import CPU_MODES, GPU_MODES, Mode
from compat.targets.target import BARE, Case, Device, Kind, Target, Weights

if TYPE_CHECKING:
    from compat.registry.pair import Entry
    from compat.registry.spec import ModelSpec

REGISTRY_WEIGHTS = (Weights.CONFIG, Weights.TWIN, Weights.HUB)
_CPU_OR_NATIVE = (*CPU_MODES, Mode.NATIVE)
MULTI_GPU = "multi_gpu"


class Plannable(Protocol):
    """What the plan has to know of a check."""

    @property
    def name(self) -> str:
        """Its name, unique in the catalogue."""

    @property
    def area(self) -> str:
        """Its area, a mark too."""

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that it needs."""

    @property
    def kind(self) -> Kind:
        """Whether it is about models or about pairs."""

    def applies(self, mode: Mode, weights: Weights) -> bool:
        """Whether it means something in `mode` and for `weights`."""


CheckT = TypeVar("CheckT", bound=Plannable)


@dataclass(frozen=True)
class PlannedTarget:
    """A target with the registry entry that it comes from: a model, or a pair of them."""

    target: Target
    spec: Entry = field(compare=False)

    @property
    def parts(self) -> tuple[tuple[Target, ModelSpec], ...]:
        """What is loaded for it: the model, or both models of the pair in the same way."""
        return tuple((part_of(self.target, model), model) for model in self.spec.models)

    @cached_property
    def marks(self) -> frozenset[str]:
        """The marks that all of its cases carry: weights, device and mode."""
        target = self.target
        marks = {str(target.weights), str(target.device), target.mode.mark}
        if target.mode is Mode.AUTO:
            marks.add(MULTI_GPU)
        return frozenset(marks)

    @cached_property
    def capabilities(self) -> dict[str, bool]:
        """What is certain about it before it is loaded."""
        return known_capabilities(self.spec, self.target)

    def offers(self, check: Plannable) -> bool:
        """Whether `check` makes a case here; a capability that is not known yet makes one."""
        target = self.target
        return (
            check.kind is target.kind
            and check.applies(target.mode, target.weights)
            and all(self.capabilities.get(need, True) for need in check.needs)
        )

    def case(self, check: Plannable) -> Case:
        """The case of `check` on this target."""
        return Case(self.target, check.name)


def part_of(target: Target, model: ModelSpec) -> Target:
    """The target of one model of what `target` is about, loaded in the same way."""
    return replace(target, model=model.id, slug=model.slug)


def modes_of(entry: Entry, weights: Weights, device: Device) -> Iterator[Mode]:
    """The modes that `entry` is tested in with `weights` on `device`, fp32 first.

    `fp4` is among them: whether it runs without being asked for is the selection's business. So is
    `native`, which on a CPU means something for stored quantized weights alone.
    """
    if weights is Weights.CONFIG:
        if device is Device.CPU:
            yield Mode.META
        return
    for mode in (*(_CPU_OR_NATIVE if device is Device.CPU else GPU_MODES), Mode.FP4):
        if all(spec.modes is None or mode in spec.modes for spec in entry.models):
            yield mode


def plan_targets(
    entries: Iterable[Entry],
    *,
    weights: Sequence[Weights] = REGISTRY_WEIGHTS,
    devices: Sequence[Device] = tuple(Device),
    wrappers: Sequence[str] = (BARE,),
) -> Iterator[PlannedTarget]:
    """Every target of `entries` with these weights, on these devices, in every mode they have.

    Entries of the registry have every kind of weights but a folder on this machine, which is all
    that an entry made for such a folder has: `weights=(Weights.LOCAL,)`.
    """
    for entry in entries:
        for one_weights in weights:
            for device in devices:
                for mode in modes_of(entry, one_weights, device):
                    for wrapper in wrappers:
                        target = Target(entry.id, entry.slug, one_weights, device, mode, wrapper)
                        if makes_sense(entry, target):
                            yield PlannedTarget(target, entry)


def plan_cases(
    targets: Iterable[PlannedTarget],
    checks: Sequence[CheckT],
    keep: Callable[[PlannedTarget, CheckT], bool] = lambda planned, check: True,
) -> Iterator[tuple[PlannedTarget, CheckT]]:
    """Every case of `targets` x `checks` that makes sense and that `keep` lets through."""
    for planned in targets:
        for check in checks:
            if planned.offers(check) and keep(planned, check):
                yield planned, check
