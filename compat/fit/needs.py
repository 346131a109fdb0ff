"""What a task needs, place by place, as plain amounts that add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Task(StrEnum):
    """What is done with a model: what a check declares as `memory=`."""

    FORWARD = "forward"
    BACKWARD = "backward"
    """A gradient past frozen weights, as a soft prompt or an adapter has it."""
    TRAINING = "training"
    """A gradient of every weight, and a step along it that is not written to the weights."""
    SECOND_COPY = "second_copy"
    """The same weights again, loaded while the first ones are there."""


@dataclass(frozen=True)
class Amount:
    """Bytes in one place."""

    held: int = 0
    """From loading to the release."""
    passing: int = 0
    """Held besides at the worst moment."""

    @property
    def total(self) -> int:
        """At the worst moment."""
        return self.held + self.passing

    def __add__(self, other: Amount) -> Amount:
        """Both at once: two models are held together, and run in turn."""
        return Amount(self.held + other.held, max(self.passing, other.passing))


@dataclass(frozen=True)
class Needs:
    """Bytes that a task needs. Of a GPU it is the first one."""

    gpu: Amount = field(default_factory=Amount)
    host: Amount = field(default_factory=Amount)
    disk: int = 0
    """Of the folder for temporary files."""
    spread: int = 0
    """Weights that go to all GPUs in turn, and what is left of them to main memory."""
    pinned: bool = False
    """Whether all of them have to be on GPUs: a backward keeps every copy that it has used."""
    quantized: bool = False
    """Whether some of the weights are: what bitsandbytes takes in running is less certain."""

    def __add__(self, other: Needs) -> Needs:
        """Two models at once."""
        return Needs(
            gpu=self.gpu + other.gpu,
            host=self.host + other.host,
            disk=self.disk + other.disk,
            spread=self.spread + other.spread,
            pinned=self.pinned or other.pinned,
            quantized=self.quantized or other.quantized,
        )
