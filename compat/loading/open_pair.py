"""Both models of a pair at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from compat.loading.open import Opening, open_subject
from compat.outcomes import Stage, in_stage
from compat.registry.pair import PairSpec
from compat.subject import PairSubject, Subject
from compat.targets import Target
from compat.targets.plan import part_of


@contextmanager
def open_pair(target: Target, spec: PairSpec, opening: Opening) -> Iterator[PairSubject]:
    """Load both models of a pair, each once and in the same way, and release them on leaving.

    Raises what `open_subject` raises for either.
    """
    with in_stage(Stage.REQUIREMENTS):
        parts = tuple((part_of(target, model), model) for model in spec.models)
        fit = opening.fitting.require(parts)
    with (
        open_subject(part_of(target, spec.source), spec.source, opening) as source,
        open_subject(part_of(target, spec.target), spec.target, opening) as receiver,
    ):
        pair = PairSubject(
            target=target,
            spec=spec,
            # A target of weights `config` is none that a pair can be.
            source=cast(Subject, source),
            receiver=cast(Subject, receiver),
        )
        pair.fit = fit
        yield pair
