"""Reasons: why a case could not run, in whose hands that is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReasonClass(StrEnum):
    """The four kinds of reason. None of them counts against a model."""

    ACCESS = "access"
    ENVIRONMENT = "environment"
    POLICY = "policy"
    APPLICABILITY = "applicability"


class ReasonCode(StrEnum):
    """Every reason the suite knows; what is not on this list fails loudly."""

    GATED = "gated"
    NO_TOKEN = "no-token"
    NOT_FOUND = "not-found"
    OFFLINE = "offline"
    RATE_LIMITED = "rate-limited"
    INCOMPLETE_DOWNLOAD = "incomplete-download"
    NOT_DOWNLOADED = "not-downloaded"

    NO_GPU = "no-gpu"
    TOO_FEW_GPUS = "too-few-gpus"
    TORCH_WITHOUT_CUDA = "torch-without-cuda"
    NO_BF16 = "no-bf16"
    DOES_NOT_FIT = "does-not-fit"
    OUT_OF_MEMORY = "out-of-memory"
    MISSING_PACKAGE = "missing-package"
    VERSION_TOO_OLD = "version-too-old"
    VERSION_TOO_NEW = "version-too-new"
    DISK_FULL = "disk-full"
    NO_REFERENCE = "no-reference"
    NO_TWIN = "no-twin"
    NOT_RUN = "not-run"

    REMOTE_CODE = "remote-code"
    PICKLE_WEIGHTS = "pickle-weights"

    NOT_APPLICABLE = "not-applicable"

    @property
    def reason_class(self) -> ReasonClass:
        """The class this reason belongs to."""
        return _CLASSES[self]


_CLASSES: dict[ReasonCode, ReasonClass] = {
    ReasonCode.GATED: ReasonClass.ACCESS,
    ReasonCode.NO_TOKEN: ReasonClass.ACCESS,
    ReasonCode.NOT_FOUND: ReasonClass.ACCESS,
    ReasonCode.OFFLINE: ReasonClass.ACCESS,
    ReasonCode.RATE_LIMITED: ReasonClass.ACCESS,
    ReasonCode.INCOMPLETE_DOWNLOAD: ReasonClass.ACCESS,
    ReasonCode.NOT_DOWNLOADED: ReasonClass.ACCESS,
    ReasonCode.NO_GPU: ReasonClass.ENVIRONMENT,
    ReasonCode.TOO_FEW_GPUS: ReasonClass.ENVIRONMENT,
    ReasonCode.TORCH_WITHOUT_CUDA: ReasonClass.ENVIRONMENT,
    ReasonCode.NO_BF16: ReasonClass.ENVIRONMENT,
    ReasonCode.DOES_NOT_FIT: ReasonClass.ENVIRONMENT,
    ReasonCode.OUT_OF_MEMORY: ReasonClass.ENVIRONMENT,
    ReasonCode.MISSING_PACKAGE: ReasonClass.ENVIRONMENT,
    ReasonCode.VERSION_TOO_OLD: ReasonClass.ENVIRONMENT,
    ReasonCode.VERSION_TOO_NEW: ReasonClass.ENVIRONMENT,
    ReasonCode.DISK_FULL: ReasonClass.ENVIRONMENT,
    ReasonCode.NO_REFERENCE: ReasonClass.ENVIRONMENT,
    ReasonCode.NO_TWIN: ReasonClass.ENVIRONMENT,
    ReasonCode.NOT_RUN: ReasonClass.ENVIRONMENT,
    ReasonCode.REMOTE_CODE: ReasonClass.POLICY,
    ReasonCode.PICKLE_WEIGHTS: ReasonClass.POLICY,
    ReasonCode.NOT_APPLICABLE: ReasonClass.APPLICABILITY,
}


@dataclass(frozen=True)
class Reason:
    """Why a case did not run.

    `text` says what is the case here, `action` what somebody can do about it and who; both are
    shown in the report. Neither may carry a token, a home folder or a host name.
    """

    code: ReasonCode
    text: str
    action: str

    @property
    def reason_class(self) -> ReasonClass:
        """The class of its code."""
        return self.code.reason_class

    def __str__(self) -> str:
        return f"{self.code}: {self.text} ({self.action})" if self.action else self.text


class CannotRun(Exception):
    """Raised before or at the load boundary: the case is skipped with `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class NotApplicable(CannotRun):
    """Raised by a subject that lacks a capability a check needs; the only skip inside a check."""

    def __init__(self, missing: str) -> None:
        super().__init__(
            Reason(
                ReasonCode.NOT_APPLICABLE,
                f"not applicable: {missing}",
                "nothing to do: the property has no meaning for this model",
            )
        )
