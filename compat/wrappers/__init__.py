"""What stands around a model: `bare`, or somebody's framework."""

from compat.wrappers.bare import Bare
from compat.wrappers.protocol import Wrapper

__all__ = ["Bare", "Wrapper"]
