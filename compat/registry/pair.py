"""Pairs: a source model whose states are carried into a target model.

Wherever a model has an id and a slug a pair has them too: `source->target`, which no hub id can be,
and `source-to-target`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from compat.registry.spec import ARROW, KnownFailure, ModelSpec, PairRow, Registry


@dataclass(frozen=True)
class PairSpec:
    """Two models of the registry, in this order."""

    source: ModelSpec
    target: ModelSpec
    known_failures: tuple[KnownFailure, ...] = ()
    line: int = field(default=0, compare=False)
    """In models.yaml; 0 where it is not listed there."""

    @property
    def id(self) -> str:
        """`source->target`, of hub ids."""
        return f"{self.source.id}{ARROW}{self.target.id}"

    @property
    def models(self) -> tuple[ModelSpec, ModelSpec]:
        """Both models."""
        return (self.source, self.target)

    @property
    def row(self) -> PairRow:
        """It as models.yaml lists pairs."""
        return PairRow(
            source=self.source.id, target=self.target.id, known_failures=self.known_failures
        )

    @property
    def slug(self) -> str:
        """`source-to-target`, of slugs: what test ids show."""
        return f"{self.source.slug}-to-{self.target.slug}"

    @property
    def family(self) -> str:
        """`source->target`, of families."""
        return f"{self.source.family}{ARROW}{self.target.family}"


Entry = ModelSpec | PairSpec
"""What targets are planned for."""


def pairs_of(registry: Registry) -> Iterator[PairSpec]:
    """The pairs that the registry lists, in its order."""
    models = {spec.id: spec for spec in registry.models}
    for row in registry.pairs:
        yield PairSpec(models[row.source], models[row.target], row.known_failures, row.line)


def entries_of(registry: Registry) -> tuple[Entry, ...]:
    """Every model, then every pair."""
    return (*registry.models, *pairs_of(registry))


def pair_named(registry: Registry, source: str, target: str) -> PairSpec:
    """The pair of two models given by id, alias or slug; as the registry lists it, where it does.

    Raises UnknownModelError.
    """
    made = PairSpec(registry.by_id(source), registry.by_id(target))
    return next((listed for listed in pairs_of(registry) if listed.id == made.id), made)
