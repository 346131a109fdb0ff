"""What models take at full size, found once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compat.anatomy.size_facts import NotPredictableError, RunFacts, WeightFacts
from compat.registry.spec import ModelSpec
from compat.results.atomic import replace_text

if TYPE_CHECKING:
    from compat.anatomy.full_size import FakeModel

METHOD = 2
"""Grows when the same config comes to other figures: what was kept before is not read then."""
VERSIONED = ("torch", "transformers")
MOST_BLOCKS = 1000
"""A config that announces more is none to be built: the deepest models have about a hundred."""
REFUSAL = "not predictable"

Stored = dict[str, Any]


def default_cache() -> Path:
    """`compat/fit` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "compat" / "fit"


@dataclass(frozen=True)
class Build:
    """A model as it is built to be looked at."""

    spec: ModelSpec
    dtype: str
    """Of torch, by name."""
    attention: str

    @cached_property
    def key(self) -> str:
        """A name that changes with all that its figures depend on."""
        config = json.dumps([self.spec.config, self.spec.config_fix], sort_keys=True, default=str)
        kind = self.spec.model_class.value
        facts = (METHOD, config, kind, self.dtype, self.attention, _versions())
        return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()

    def fake(self) -> FakeModel:
        """Build it on fake tensors. Raises NotPredictableError."""
        if self.spec.blocks.count > MOST_BLOCKS:
            raise NotPredictableError(f"it announces {self.spec.blocks.count:,} blocks")
        import torch

        from compat.anatomy.full_size import FakeModel

        return FakeModel(
            self.spec.model_type,
            self.spec.config_arguments(),
            self.spec.model_class.value,
            dtype=getattr(torch, self.dtype),
            attention=self.attention,
        )


class Facts:
    """The figures of any model in any dtype, out of a folder or found now.

    Each takes a moment to find: a model is built on fake tensors, and run. A folder that can't be
    written to costs that moment again, nothing else. All raise NotPredictableError.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_cache()
        self._last: tuple[str, FakeModel] | None = None
        """The model that was built last: the next question is mostly about the same."""

    def weights(self, build: Build) -> WeightFacts:
        """What the weights take."""
        return WeightFacts(**self._find(build, "weights", lambda model: model.weights()))

    def forward(self, build: Build, batch: int, length: int) -> RunFacts:
        """What a forward takes."""
        question = f"forward {batch} x {length}"
        return RunFacts(**self._find(build, question, lambda model: model.forward(batch, length)))

    def backward(self, build: Build, batch: int, length: int) -> RunFacts:
        """What a backward past frozen weights takes, with its forward."""
        question = f"backward {batch} x {length}"
        return RunFacts(**self._find(build, question, lambda model: model.backward(batch, length)))

    def _find(
        self, build: Build, question: str, ask: Callable[[FakeModel], WeightFacts | RunFacts]
    ) -> Stored:
        path = self._folder / f"{build.key}.json"
        answer = _read(path).get(question)
        if answer is None:
            try:
                answer = asdict(ask(self._model(build)))
            except NotPredictableError as error:
                answer = {REFUSAL: str(error)}
            _keep(path, {**_read(path), question: answer})
        if REFUSAL in answer:
            raise NotPredictableError(answer[REFUSAL])
        found: Stored = answer
        return found

    def _model(self, build: Build) -> FakeModel:
        if self._last is None or self._last[0] != build.key:
            self._last = (build.key, build.fake())
        return self._last[1]


@lru_cache
def _versions() -> tuple[str, ...]:
    return tuple(version(name) for name in VERSIONED)


def _read(path: Path) -> Stored:
    """What is kept in a file; nothing where there is none, or half of one."""
    with suppress(OSError, ValueError):
        stored = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(stored, dict):
            return stored
    return {}


def _keep(path: Path, facts: Stored) -> None:
    with suppress(OSError):
        replace_text(path, json.dumps(facts))
