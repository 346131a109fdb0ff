"""Interventions: context managers on hooks that undo themselves, whatever happens inside."""

from compat.interventions.agency import Agency, HeadState, Thresholds
from compat.interventions.attention_function import (
    attention_weights,
    queries_and_keys,
    scale_heads,
)
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
from compat.interventions.head_statistics import AttentionNotSeenError, head_entropies
from compat.interventions.hidden import hidden_of, with_hidden
from compat.interventions.hooks import (
    Edit,
    capture,
    count_calls,
    edit_output,
    patch,
    steer,
)
from compat.interventions.pruning import (
    entropy_order,
    magnitude_order,
    pruning_gates,
    random_order,
)
from compat.interventions.skip_connections import skip_connections, skip_pairs

__all__ = [
    "Agency",
    "AttentionNotSeenError",
    "Edit",
    "Gates",
    "GateSite",
    "HeadState",
    "HeadsNotFoundError",
    "Thresholds",
    "apply_gates",
    "attention_weights",
    "capture",
    "count_calls",
    "edit_output",
    "entropy_order",
    "gate",
    "gate_heads",
    "gate_sites",
    "head_entropies",
    "hidden_of",
    "magnitude_order",
    "open_gates",
    "patch",
    "pruning_gates",
    "queries_and_keys",
    "random_order",
    "scale_heads",
    "skip_connections",
    "skip_pairs",
    "steer",
    "with_hidden",
]
