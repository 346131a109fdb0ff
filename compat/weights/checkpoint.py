"""Re-export: a checkpoint is a value of the room below, `compat.targets`."""

from compat.targets.checkpoint import Checkpoint, Lesson, Shape

__all__ = ["Checkpoint", "Lesson", "Shape"]
