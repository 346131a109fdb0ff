"""How long a stage of a case may take before its process counts as hanging."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from compat.outcomes import Stage
from compat.targets.selection import SelectionError

if TYPE_CHECKING:
    from compat.registry.pair import Entry

HOUR = 3600.0
# Generous, for nobody is there at night to repeat what was nearly done: a large checkpoint over a
# slow line, a load from a network disk, a check of an offloaded model.
DEFAULTS: Final[Mapping[Stage, float]] = {
    Stage.WEIGHTS: 6 * HOUR,
    Stage.LOAD: HOUR,
    Stage.CHECK: HOUR / 2,
}
LIMITED_AS = {Stage.REQUIREMENTS: Stage.LOAD, Stage.PRISTINE: Stage.CHECK}
"""The stages that have no limit of their own."""


@dataclass(frozen=True)
class Deadlines:
    """Seconds by stage: what was asked for, else the model's own, else the default."""

    asked: Mapping[Stage, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str], where: str) -> Deadlines:
        """Read `check=600,load=1800`. Raises SelectionError."""
        parts = [part.strip() for text in texts for part in text.split(",")]
        return cls(dict(_parse(part, where) for part in parts if part))

    def of(self, stage: Stage, entry: Entry | None) -> float:
        """Seconds that a model or pair may spend in a stage."""
        stage = LIMITED_AS.get(stage, stage)
        own = [spec.deadlines for spec in ([] if entry is None else entry.models)]
        known = [seconds for one in own for name, seconds in one.items() if name is stage]
        return self.asked.get(stage, max(known, default=DEFAULTS[stage]))


def _parse(part: str, where: str) -> tuple[Stage, float]:
    name, _, text = part.partition("=")
    try:
        stage, seconds = Stage(name.strip()), float(text)
    except ValueError:
        stage, seconds = Stage.REQUIREMENTS, math.nan
    if stage not in DEFAULTS or not 0 < seconds < math.inf:
        raise SelectionError(
            f"{where}: {part!r} is not STAGE=SECONDS, where the stage is one of "
            f"{', '.join(DEFAULTS)}"
        )
    return stage, seconds
