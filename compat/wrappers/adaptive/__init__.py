"""An adaptive transformer: gates on every head, skip connections, and heads with agency."""

from compat.wrappers.adaptive.subject import AdaptiveSubject
from compat.wrappers.adaptive.wrapper import Adaptive

__all__ = ["Adaptive", "AdaptiveSubject"]
