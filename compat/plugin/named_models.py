"""Models given with --compat-model by name: of the registry, at a revision, or on the hub alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compat.outcomes import CannotRun
from compat.targets.selection import SelectionError

if TYPE_CHECKING:
    from compat.registry.spec import ModelSpec, Registry
    from compat.weights.hub import Hub, Wanted

HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)")


@dataclass(frozen=True)
class NamedModels:
    """What the names stand for."""

    listed: tuple[str, ...] = ()
    """Ids of the registry, and what is no name of anything: the selection says so."""
    pinned: Mapping[str, str] = field(default_factory=dict)
    """Id of the registry -> the revision that it is to be tested at."""
    unlisted: tuple[Wanted, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str], registry: Registry) -> NamedModels:
        """Tell the names apart: `name`, `name@revision`, `org/name[@revision]`."""
        from compat.weights.hub import Wanted

        listed: list[str] = []
        pinned: dict[str, str] = {}
        unlisted: list[Wanted] = []
        for given in names:
            name, at, revision = given.partition("@")
            known = registry.by_name.get(name)
            if known is None and HUB_NAME.fullmatch(name):
                unlisted.append(Wanted(name, revision or None))
                continue
            listed.append(name if known is None else known.id)
            if known is not None and at:
                pinned[known.id] = revision
        return cls(tuple(listed), pinned, tuple(unlisted))

    @property
    def from_hub(self) -> frozenset[str]:
        """The ids of those whose hub weights were asked for by giving them so."""
        return frozenset((*self.pinned, *(wanted.id for wanted in self.unlisted)))

    @property
    def not_in_registry(self) -> tuple[str, ...]:
        """How to give again those that the registry does not say all of."""
        pinned = (f"{model}@{revision}" for model, revision in self.pinned.items())
        return (*pinned, *map(str, self.unlisted))

    def pin(self, registry: Registry) -> Registry:
        """The registry with the revisions that were asked for."""
        from compat.registry.spec import Registry

        if not self.pinned:
            return registry
        return Registry(
            schema_version=registry.schema_version,
            models=tuple(_at(spec, self.pinned.get(spec.id)) for spec in registry.models),
            pairs=registry.pairs,
            known_failures=registry.known_failures,
        )

    def described(self, hub: Hub, registry: Registry) -> tuple[ModelSpec, ...]:
        """Those that are in no registry, described by what the hub or its cache has.

        Raises SelectionError, with the reason, for one that can't be had.
        """
        return tuple(_describe(wanted, hub, registry) for wanted in self.unlisted)


def _at(spec: ModelSpec, revision: str | None) -> ModelSpec:
    if revision is None:
        return spec
    stored = spec.checkpoint.model_copy(update={"revision": revision})
    facts: dict[str, object] = {"checkpoint": stored}
    if revision != spec.checkpoint.revision:  # what was read is another revision
        facts |= {"trust_remote_code": False, "trust_pickle": False}
    return spec.model_copy(update=facts)


def _describe(wanted: Wanted, hub: Hub, registry: Registry) -> ModelSpec:
    from compat.weights.hub.describe import hub_spec
    from compat.weights.local import NotACheckpointError, slug_of

    try:
        spec = hub_spec(hub, wanted)
    except (CannotRun, NotACheckpointError) as error:
        raise SelectionError(
            f"--compat-model: {wanted.id} is in no registry, and the hub's checkpoint can't be "
            f"described: {error}"
        ) from error
    if spec.slug in registry.by_name:
        return spec.model_copy(update={"slug": slug_of(wanted.id)})
    return spec
