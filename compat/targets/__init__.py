"""What can be run: modes, targets, cases, and their ids. Imports no torch."""

from compat.targets.checkpoint import Checkpoint, Lesson, Shape
from compat.targets.mode import CPU_MODES, GPU_MODES, Mode, ModeTraits
from compat.targets.target import BARE, Case, Device, Kind, Target, Weights

__all__ = [
    "BARE",
    "CPU_MODES",
    "GPU_MODES",
    "Case",
    "Checkpoint",
    "Device",
    "Kind",
    "Lesson",
    "Mode",
    "ModeTraits",
    "Shape",
    "Target",
    "Weights",
]
