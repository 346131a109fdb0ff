"""Interventions: context managers on hooks that undo themselves, whatever happens inside."""

from compat.interventions.hidden import hidden_of, with_hidden
from compat.interventions.hooks import (
    Edit,
    capture,
    count_calls,
    edit_output,
    gate_heads,
    patch,
    steer,
)

__all__ = [
    "Edit",
    "capture",
    "count_calls",
    "edit_output",
    "gate_heads",
    "hidden_of",
    "patch",
    "steer",
    "with_hidden",
]
