"""The subject of the facts check: a registry entry, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compat.fit.judge import Judgement
from compat.registry.spec import ModelSpec
from compat.results.record import Measures
from compat.subject.notes import Notes
from compat.targets import Target


class ConfigSubject(Notes):
    """Target of weights `config`: it has a spec and no model."""

    def __init__(self, target: Target, spec: ModelSpec) -> None:
        super().__init__()
        self.target = target
        self.spec = spec
        self.load_measures: Measures = {}
        self.revision: str | None = None
        self.fit: Judgement | None = None
        """Nothing is loaded, so nothing has to fit."""

    @contextmanager
    def pristine(self) -> Iterator[None]:
        """Nothing is loaded, so nothing can be left behind."""
        yield

    def fingerprint_unchanged(self) -> bool:
        """Nothing is loaded, so nothing can change."""
        return True
