"""The outcomes of a case, the stages it passes through, and who is to blame."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What a case came to."""

    PASSED = "passed"
    FAILED = "failed"
    KNOWN_FAILURE = "known_failure"
    """It failed exactly as a `known_failures` row of the registry says."""
    FIXED = "fixed"
    """A `known_failures` row says that it fails, and it passed: the row has to go."""
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    ERROR = "error"
    """The suite, the registry or a prediction is wrong: never the model's fault."""
    SKIPPED = "skipped"
    """Not run, with a `Reason` that says why and what to do."""

    @property
    def fails_the_run(self) -> bool:
        """Whether a run with such a case exits non-zero."""
        return self not in (Outcome.PASSED, Outcome.KNOWN_FAILURE, Outcome.SKIPPED)


class Stage(StrEnum):
    """Where in its life a case was when it ended."""

    REQUIREMENTS = "requirements"
    """Before anything was loaded: device, packages, access, policy, fit."""
    WEIGHTS = "weights"
    """Getting the checkpoint folder: teaching a twin, finding a download."""
    LOAD = "load"
    CHECK = "check"
    PRISTINE = "pristine"
    """The check passed but left a trace on the model."""

    def comes_after(self, other: Stage) -> bool:
        """Whether a case comes to it later in its life than to `other`."""
        stages = list(Stage)
        return stages.index(self) > stages.index(other)


class Blame(StrEnum):
    """Who has to act for a known failure to go away."""

    MODEL = "model"
    UPSTREAM = "upstream"
    WRAPPER = "wrapper"
    SUITE = "suite"
