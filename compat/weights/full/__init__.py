"""Full-size checkpoints with random weights: for memory and speed at size, without a hub.

Imports no torch; writing one does.
"""

from compat.weights.full.manifest import FullManifest, is_unfinished

__all__ = ["FullManifest", "is_unfinished"]
