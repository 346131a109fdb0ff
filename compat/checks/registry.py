"""`@check`: declares a named property of a subject.

A check is a plain function. It passes by returning and fails by raising; what it needs is declared
here, so that collection can judge it without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Any, Literal

from compat.targets import Kind, Mode, Weights

MemoryTask = Literal["forward", "backward", "training", "second_copy"]
"""What is done with a model, by what it takes: `compat.fit.Task` says of each what that is."""

CheckFunction = Callable[[Any], None]
"""Takes a `Subject`, a `ConfigSubject` or a `PairSubject`, as its declaration says."""


class Area(StrEnum):
    """This suite's groups of checks; each is a pytest mark. A project may add names of its own."""

    STRUCTURE = "structure"
    LOADING = "loading"
    ANATOMY = "anatomy"
    TOKENIZER = "tokenizer"
    FORWARD = "forward"
    GENERATION = "generation"
    HOOKS = "hooks"
    PRECISION = "precision"
    OFFLOAD = "offload"
    CALIBRATION = "calibration"
    GATES = "gates"
    EMBEDS = "embeds"
    PAIRS = "pairs"
    ATTENTION = "attention"
    PERSISTENCE = "persistence"
    TRAINING = "training"
    QUALITY = "quality"
    MEMORY = "memory"


@dataclass(frozen=True)
class Check:
    """A declared check."""

    name: str
    area: str
    function: CheckFunction
    summary: str
    """First line of its docstring: what the report shows."""
    needs: frozenset[str]
    """Capabilities; one that is known to be missing at collection makes no case."""
    modes: frozenset[Mode] | None
    """The modes it means something in; None: all but `meta`."""
    weights: frozenset[Weights] | None
    """The weights it means something for; None: all but `config`."""
    kind: Kind
    """Whether it is about models or about pairs of them."""
    per: Literal["model", "target"]
    memory: MemoryTask
    """What has to fit: `compat.fit.Task` by name, told apart case by case."""
    loads: int
    """Checkpoints it loads beside its target."""

    def applies(self, mode: Mode, weights: Weights) -> bool:
        """Whether the check means something in this mode and for these weights."""
        fits_mode = mode is not Mode.META if self.modes is None else mode in self.modes
        config = weights is Weights.CONFIG
        fits_weights = not config if self.weights is None else weights in self.weights
        return fits_mode and fits_weights


class DuplicateCheckError(ValueError):
    """Two checks of one name."""


class Catalogue:
    """The checks, in order of declaration."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, check: Check) -> None:
        """Add a check. Raises DuplicateCheckError where its name is taken by another function."""
        taken = self._checks.get(check.name)
        if taken is not None and taken.function is not check.function:
            raise DuplicateCheckError(
                f"check {check.name!r} is declared twice: in {taken.function.__module__} "
                f"and in {check.function.__module__}"
            )
        self._checks[check.name] = check

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks.values())

    def __getitem__(self, name: str) -> Check:
        return self._checks[name]

    def __contains__(self, name: str) -> bool:
        return name in self._checks

    def __len__(self) -> int:
        return len(self._checks)


CATALOGUE = Catalogue()
"""What `@check` adds to: filled by imports, never changed by a session."""

_AREA_MODULES = (
    "structure",
    "loading",
    "anatomy",
    "tokenizer",
    "forward",
    "generation",
    "hooks",
    "nesting",
    "gates",
    "skip_connections",
    "pruning",
    "agency",
    "precision",
    "offload",
    "calibration",
    "embeds",
    "attention",
    "positions",
    "training",
    "persistence",
    "quality",
    "memory",
    "pairs",
)


def load_catalogue() -> Catalogue:
    """Import every area of this suite and return the catalogue."""
    for module in _AREA_MODULES:
        import_module(f"compat.checks.{module}")
    return CATALOGUE


def check(
    area: Area | str,
    *,
    needs: Iterable[str] = (),
    modes: Iterable[Mode] | None = None,
    weights: Iterable[Weights] | None = None,
    kind: Kind = Kind.MODEL,
    per: Literal["model", "target"] = "target",
    memory: MemoryTask = "forward",
    loads: int = 0,
    catalogue: Catalogue = CATALOGUE,
) -> Callable[[CheckFunction], CheckFunction]:
    """Declare the decorated function a check.

    Raises ValueError where the function has no docstring (its first line is what the report
    shows) or its name is not lower-case with underscores, DuplicateCheckError where the name is
    taken.
    """

    def declare(function: CheckFunction) -> CheckFunction:
        name = function.__name__
        if not name.isidentifier() or name != name.lower():
            raise ValueError(f"a check's name is lower_case_with_underscores, not {name!r}")
        if not (function.__doc__ or "").strip():
            raise ValueError(f"check {name!r} needs a docstring: its first line is its summary")
        catalogue.add(
            Check(
                name=name,
                area=str(area),
                function=function,
                summary=(function.__doc__ or "").strip().splitlines()[0],
                needs=frozenset(needs),
                modes=None if modes is None else frozenset(modes),
                weights=None if weights is None else frozenset(weights),
                kind=kind,
                per=per,
                memory=memory,
                loads=loads,
            )
        )
        return function

    return declare
