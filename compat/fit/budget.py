"""Needs held against what is free: the margins, and what is short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from compat.fit.needs import Amount, Needs
from compat.fit.room import Room

FLOAT_MARGIN = 0.05
QUANTIZED_MARGIN = 0.08
"""How far a prediction may be off: what the benchmarks hold it to. bitsandbytes' int8 layers pick
out columns of large activations, and how many, the data say."""
HOST_MARGIN = 0.25
"""Of what comes and goes in main memory: malloc keeps pages that were freed.
`tests/unit/fit/test_resident_memory.py` holds it against what the system says. Of the weights,
which stay, no more than `FLOAT_MARGIN`."""
CUDA_CONTEXT = 600_000_000
"""What the driver, cuBLAS and the kernels take of a GPU before the first tensor is there. An
allowance: it differs by GPU and driver, and has not been measured by this project."""
RUNTIME = 400_000_000
"""What a process takes of main memory with torch, transformers, accelerate and bitsandbytes
imported: 397 MB on Linux with torch for CPUs."""


class Place(StrEnum):
    """Where memory is short."""

    GPU = "GPU memory"
    HOST = "main memory"
    DISK = "disk for temporary files"


@dataclass(frozen=True)
class Bill:
    """What has to be free for some needs, margins and allowances included; in bytes."""

    gpu: int
    host: int
    disk: int
    spread: int
    pinned: bool = False
    """Whether what is spread has to be on GPUs: main memory takes nothing of it."""

    @classmethod
    def of(cls, needs: Needs) -> Bill:
        """Add margins to what is predicted, and allowances to what is there."""
        margin = QUANTIZED_MARGIN if needs.quantized else FLOAT_MARGIN
        on_gpu = needs.gpu.total > 0
        return cls(
            gpu=round(needs.gpu.total * (1 + margin)) + CUDA_CONTEXT if on_gpu else 0,
            host=_host(needs.host, margin) + RUNTIME,
            disk=needs.disk,
            spread=round(needs.spread * (1 + margin)),
            pinned=needs.pinned,
        )

    def places(self, room: Room) -> Iterator[tuple[Place, int, int]]:
        """Every place where something is needed: what is needed there, and what it has."""
        if self.gpu:
            yield Place.GPU, *self.on_gpus(room)
        yield Place.HOST, self.host + self.beyond_gpus(room), room.host
        if self.disk:
            yield Place.DISK, self.disk, room.disk

    def short(self, room: Room) -> Iterator[tuple[Place, int, int]]:
        """Every place that has too little."""
        return (place for place in self.places(room) if place[1] > place[2])

    def closest(self, room: Room) -> tuple[Place, int, int]:
        """The place of which the largest part is needed."""
        return max(self.places(room), key=lambda place: place[1] / max(place[2], 1))

    def on_gpus(self, room: Room) -> tuple[int, int]:
        """What is needed on GPUs and what they have: the first one, or all for pinned weights."""
        first = room.gpus[0] if room.gpus else 0
        if not self.pinned or self.gpu > first:
            return self.gpu, first
        used = [free for free in room.gpus if free >= self.gpu]
        return self.gpu * len(used) + self.spread, sum(used)

    def beyond_gpus(self, room: Room) -> int:
        """What of the spread weights no GPU has room for, so that main memory takes it.

        None of those that are pinned: they are short on the GPUs.
        """
        if not self.spread or self.pinned:
            return 0
        return max(0, self.spread - sum(max(0, free - self.gpu) for free in room.gpus))

    def fits(self, room: Room) -> bool:
        """Whether nothing is short."""
        return next(self.short(room), None) is None


def _host(amount: Amount, margin: float) -> int:
    return round(amount.held * (1 + margin) + amount.passing * (1 + HOST_MARGIN))
