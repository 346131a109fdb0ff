"""What can be run: modes, targets, cases, and their ids. Imports no torch."""

from compat.targets.checkpoint import Checkpoint, Lesson, Shape
from compat.targets.mode import CPU_MODES, GPU_MODES, Mode, ModeTraits
from compat.targets.target import Case, Device, Target, Weights

__all__ = [
    "CPU_MODES",
    "GPU_MODES",
    "Case",
    "Checkpoint",
    "Device",
    "Lesson",
    "Mode",
    "ModeTraits",
    "Shape",
    "Target",
    "Weights",
]
