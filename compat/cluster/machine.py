"""Kinds of machine that jobs are planned for."""

from __future__ import annotations

from dataclasses import dataclass

from compat.fit.amounts import amount, amounts
from compat.fit.room import Room

CPU_ONLY = "cpu"
BOUNDLESS = 2**60
"""Bytes of main memory and disk where nobody has said how much there is."""


@dataclass(frozen=True)
class Machine:
    """A kind of machine by the label of the runner, queue or partition that has it."""

    label: str
    room: Room

    @property
    def memory(self) -> tuple[int, int]:
        """By which machines are told small from large: bytes of all GPUs, of main memory."""
        return sum(self.room.gpus), self.room.host

    @classmethod
    def parse(cls, text: str) -> Machine:
        """Read `LABEL=GPU[,RAM]`: `gpu-24=24GB,64GB`, `big=2x80GB`, `ubuntu-latest=cpu,16GB`.

        Raises ValueError.
        """
        label, equals, rest = text.partition("=")
        gpu, _, ram = rest.partition(",")
        if not (label and equals and gpu):
            raise ValueError(
                f"{text!r} is no machine: write LABEL=GPU[,RAM], such as gpu-24=24GB,64GB, or "
                f"LABEL={CPU_ONLY}[,RAM]"
            )
        gpus = () if gpu.strip() == CPU_ONLY else amounts(gpu)
        host = amount(ram) if ram else BOUNDLESS
        return cls(label.strip(), Room(gpus=gpus, host=host, disk=BOUNDLESS))
