"""Twins: small checkpoints with a model's own traits, taught to recite a text.

Imports no torch; making a twin does.
"""

from compat.weights.twin.all_twins import Made, teach_all
from compat.weights.twin.key import twin_key
from compat.weights.twin.store import (
    TwinNotTaughtError,
    default_cache,
    twin_checkpoint,
    write_twin,
)

__all__ = [
    "Made",
    "TwinNotTaughtError",
    "default_cache",
    "teach_all",
    "twin_checkpoint",
    "twin_key",
    "write_twin",
]
