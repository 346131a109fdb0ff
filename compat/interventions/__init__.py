"""Interventions: context managers on hooks that undo themselves, whatever happens inside."""

from compat.interventions.attention_function import attention_weights, scale_heads
from compat.interventions.gates import (
    Gates,
    GateSite,
    HeadsNotFoundError,
    apply_gates,
    gate,
    gate_heads,
    gate_sites,
    open_gates,
)
from compat.interventions.hidden import hidden_of, with_hidden
from compat.interventions.hooks import (
    Edit,
    capture,
    count_calls,
    edit_output,
    patch,
    steer,
)
from compat.interventions.skip_connections import skip_connections, skip_pairs

__all__ = [
    "Edit",
    "Gates",
    "GateSite",
    "HeadsNotFoundError",
    "apply_gates",
    "attention_weights",
    "capture",
    "count_calls",
    "edit_output",
    "gate",
    "gate_heads",
    "gate_sites",
    "hidden_of",
    "open_gates",
    "patch",
    "scale_heads",
    "skip_connections",
    "skip_pairs",
    "steer",
    "with_hidden",
]
