"""What a case came to, and why: outcomes, reasons, blame, and the triage of exceptions."""

from compat.outcomes.outcome import Blame, Outcome, Stage
from compat.outcomes.reason import (
    CannotRun,
    NotApplicable,
    Reason,
    ReasonClass,
    ReasonCode,
)
from compat.outcomes.stages import in_stage, stage_of

__all__ = [
    "Blame",
    "CannotRun",
    "NotApplicable",
    "Outcome",
    "Reason",
    "ReasonClass",
    "ReasonCode",
    "Stage",
    "in_stage",
    "stage_of",
]
