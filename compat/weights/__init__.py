"""Where a checkpoint folder comes from: a twin taught here, the hub's cache, or a given folder."""

from compat.weights.checkpoint import Checkpoint, Lesson, Shape

__all__ = ["Checkpoint", "Lesson", "Shape"]
