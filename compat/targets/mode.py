"""Modes: how a checkpoint is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Mode(StrEnum):
    """How a checkpoint is loaded. Each mode is a pytest mark too, with `_` for `-`."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"
    NF4 = "nf4"
    FP4 = "fp4"
    DISK_OFFLOAD = "disk-offload"
    CPU_OFFLOAD = "cpu-offload"
    AUTO = "auto"
    NATIVE = "native"
    META = "meta"
    """Built from the config alone, without weights: for the facts of the registry."""

    @property
    def mark(self) -> str:
        """The pytest mark of this mode."""
        return self.value.replace("-", "_")

    @property
    def traits(self) -> ModeTraits:
        """What this mode asks of the loader."""
        return _TRAITS[self]


@dataclass(frozen=True)
class ModeTraits:
    """What a mode asks of the loader.

    `dtype` is the torch dtype's name of everything that is not quantized (None: as stored).
    `quantization` is the bitsandbytes scheme. `offload` is where the weights wait.
    """

    dtype: str | None
    quantization: Literal["int8", "nf4", "fp4"] | None = None
    offload: Literal["cpu", "disk", "auto"] | None = None


_TRAITS: dict[Mode, ModeTraits] = {
    Mode.FP32: ModeTraits("float32"),
    Mode.BF16: ModeTraits("bfloat16"),
    Mode.FP16: ModeTraits("float16"),
    Mode.INT8: ModeTraits("float32", quantization="int8"),
    Mode.NF4: ModeTraits("float32", quantization="nf4"),
    Mode.FP4: ModeTraits("float32", quantization="fp4"),
    Mode.DISK_OFFLOAD: ModeTraits("float32", offload="disk"),
    Mode.CPU_OFFLOAD: ModeTraits("bfloat16", offload="cpu"),
    Mode.AUTO: ModeTraits("bfloat16", offload="auto"),
    Mode.NATIVE: ModeTraits(None),
    Mode.META: ModeTraits("bfloat16"),
}

CPU_MODES: tuple[Mode, ...] = (
    Mode.FP32,
    Mode.BF16,
    Mode.FP16,
    Mode.INT8,
    Mode.NF4,
    Mode.DISK_OFFLOAD,
)
GPU_MODES: tuple[Mode, ...] = (*CPU_MODES, Mode.CPU_OFFLOAD, Mode.AUTO, Mode.NATIVE)
