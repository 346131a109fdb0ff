"""What is handed out to workers: targets whole, and the tests between them in small pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from compat.targets import Device
from compat.targets.nodepart import device_of, load_of, slug_of, spans_gpus


@dataclass(frozen=True)
class Unit:
    """Items that run on one worker, one after the other, by their place in the collection."""

    items: tuple[int, ...]
    load: str | None = None
    """The loaded part of the target's id; None for tests that are none of the suite's."""

    @property
    def model(self) -> str | None:
        """The short name of the target's model."""
        return None if self.load is None else slug_of(self.load)

    @property
    def on_gpu(self) -> bool:
        """Whether it is a target that needs a GPU."""
        return self.load is not None and device_of(self.load) is Device.GPU

    @property
    def spans_gpus(self) -> bool:
        """Whether it needs every GPU, and no other worker at work on one."""
        return self.load is not None and spans_gpus(self.load)


def targets_of(collection: Sequence[str], items: Iterable[int]) -> Iterator[Unit]:
    """Items in their order, cut where a target begins or ends."""
    for load, group in groupby(items, key=lambda index: load_of(collection[index])):
        yield Unit(tuple(group), load)


def units_of(collection: Sequence[str], workers: int) -> Iterator[Unit]:
    """Cut a collection into units: a target each, and the tests between them in small pieces."""
    for unit in targets_of(collection, range(len(collection))):
        if unit.load is not None:
            yield unit
            continue
        piece = max(1, len(unit.items) // (4 * workers))
        for start in range(0, len(unit.items), piece):
            yield Unit(unit.items[start : start + piece])
