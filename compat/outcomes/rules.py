"""The exceptions that mean a reason not to run, each with the text and the action it is shown with.

Classes are compared by name along the inheritance, which keeps torch and the hub's client out of
this module. The order is that of precedence: `compat.outcomes.triage` tries each rule on the whole
chain of an exception before the next.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from compat.outcomes.reason import Reason, ReasonCode


@dataclass(frozen=True)
class Rule:
    """A listed exception: how it is known, and what it means.

    `{0}` in `text` and `action` is the first group that `message` captured: it names a package.
    """

    code: ReasonCode
    text: str
    action: str
    classes: tuple[str, ...]
    """Class names, of which one is in the exception's inheritance."""
    message: str | None = None
    """Regular expression searched in the message."""
    status: range | None = None
    """HTTP status of the response that the exception carries."""
    error_numbers: tuple[int, ...] | None = None
    """`errno` of an OSError."""

    def match(self, exception: BaseException) -> Reason | None:
        """The reason, where the exception is this rule's."""
        names = {base.__name__ for base in type(exception).__mro__}
        if names.isdisjoint(self.classes):
            return None
        if self.status is not None and _status(exception) not in self.status:
            return None
        if self.error_numbers is not None and _error_number(exception) not in self.error_numbers:
            return None
        found = None if self.message is None else re.search(self.message, str(exception))
        if self.message is not None and found is None:
            return None
        groups = found.groups() if found is not None else ()
        return Reason(self.code, self.text.format(*groups), self.action.format(*groups))


def _status(exception: BaseException) -> int | None:
    status = getattr(getattr(exception, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _error_number(exception: BaseException) -> int | None:
    return exception.errno if isinstance(exception, OSError) else None


PACKAGE = r"[`'\"]?([A-Za-z][\w.-]*)[`'\"]?"
NETWORK_ERRORS = (
    "OfflineModeIsEnabled",
    "ConnectError",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "ConnectionError",
    "gaierror",
)
RETRY_ONLINE = "connect to the network, unset HF_HUB_OFFLINE, then run again"

OUT_OF_MEMORY_RULES: tuple[Rule, ...] = (
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of GPU memory",
        "free the GPU, choose a mode that needs less, or run on a larger GPU",
        classes=("OutOfMemoryError",),
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of GPU memory",
        "free the GPU, choose a mode that needs less, or run on a larger GPU",
        classes=("RuntimeError",),
        message=r"CUDA (error: )?out of memory|CUBLAS_STATUS_ALLOC_FAILED",
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of main memory",
        "close other programs, choose a mode that needs less, or run on a larger machine",
        classes=("MemoryError",),
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of main memory",
        "close other programs, choose a mode that needs less, or run on a larger machine",
        classes=("RuntimeError",),
        message=r"DefaultCPUAllocator: (can't allocate|not enough) memory",
    ),
    Rule(
        ReasonCode.OUT_OF_MEMORY,
        "out of main memory",
        "close other programs, choose a mode that needs less, or run on a larger machine",
        classes=("OSError",),
        error_numbers=(errno.ENOMEM,),
    ),
)

DISK_RULES: tuple[Rule, ...] = (
    Rule(
        ReasonCode.DISK_FULL,
        "the disk is full",
        "free disk space, or point HF_HOME and TMPDIR at a larger disk, then run again",
        classes=("OSError",),
        error_numbers=(errno.ENOSPC, errno.EDQUOT),
    ),
    Rule(
        ReasonCode.DISK_FULL,
        "the disk is full",
        "free disk space, or point HF_HOME and TMPDIR at a larger disk, then run again",
        classes=("SafetensorError",),
        message=rf"I/O error: .*\(os error ({errno.ENOSPC}|{errno.EDQUOT})\)",
    ),
)

HUB_RULES: tuple[Rule, ...] = (
    Rule(
        ReasonCode.NO_TOKEN,
        "the repository is gated and no valid token was sent",
        "accept the licence on the model's page, run `hf auth login`, then run again",
        classes=("GatedRepoError",),
        status=range(401, 402),
    ),
    Rule(
        ReasonCode.GATED,
        "the repository is gated and this account has no access",
        "ask for access on the model's page, then run again",
        classes=("GatedRepoError",),
    ),
    Rule(
        ReasonCode.NO_TOKEN,
        "a token is needed and none is stored",
        "run `hf auth login`, then run again",
        classes=("LocalTokenNotFoundError",),
    ),
    Rule(
        ReasonCode.NOT_FOUND,
        "the hub has disabled the repository",
        "nothing to do here: ask the model's owner",
        classes=("DisabledRepoError",),
    ),
    Rule(
        ReasonCode.NOT_FOUND,
        "the hub has no such repository, or hides it from this account",
        "check the model's id in models.yaml; for a private model run `hf auth login`",
        classes=("RepositoryNotFoundError",),
    ),
    Rule(
        ReasonCode.NOT_FOUND,
        "the repository has no such revision",
        "check the model's revision in models.yaml",
        classes=("RevisionNotFoundError",),
    ),
    Rule(
        ReasonCode.RATE_LIMITED,
        "the hub limits requests from here",
        "wait some minutes or log in with `hf auth login`, then run again",
        classes=("HfHubHTTPError", "HTTPStatusError"),
        status=range(429, 430),
    ),
    Rule(
        ReasonCode.OFFLINE,
        "the hub answered with a server error",
        "wait until the hub is up (status.huggingface.co), then run again",
        classes=("HfHubHTTPError", "HTTPStatusError"),
        status=range(500, 600),
    ),
    Rule(
        ReasonCode.INCOMPLETE_DOWNLOAD,
        "the connection broke during a download",
        "run again: files that are whole are kept",
        classes=("RemoteProtocolError", "IncompleteRead"),
    ),
    Rule(
        ReasonCode.INCOMPLETE_DOWNLOAD,
        "the cached snapshot lacks files",
        "run `hf download` for the model again",
        classes=("IncompleteSnapshotError",),
    ),
    Rule(
        ReasonCode.INCOMPLETE_DOWNLOAD,
        "a weights file is shorter than its header says",
        "delete the file and download or build it again",
        classes=("SafetensorError",),
        message=r"(?i)incomplete metadata|MetadataIncompleteBuffer",
    ),
    Rule(
        ReasonCode.OFFLINE,
        "the hub can't be reached from here",
        RETRY_ONLINE,
        classes=NETWORK_ERRORS,
    ),
    Rule(
        ReasonCode.OFFLINE,
        "not in the cache, and the hub was not asked",
        RETRY_ONLINE,
        classes=("LocalEntryNotFoundError",),
    ),
)

LOADING_RULES: tuple[Rule, ...] = (
    Rule(
        ReasonCode.REMOTE_CODE,
        "the model runs code from its repository",
        "read that code, then allow it with --compat-trust-remote-code",
        classes=("ValueError",),
        message=r"contains custom code which must be executed",
    ),
    Rule(
        ReasonCode.VERSION_TOO_OLD,
        "{0} is required, and an older version is installed",
        "run `pip install --upgrade '{0}'`",
        classes=("ImportError",),
        message=r"^(\S+) is required for a normal functioning of this module, but found",
    ),
    Rule(
        ReasonCode.VERSION_TOO_OLD,
        "the installed transformers does not know this architecture",
        "run `pip install --upgrade transformers`",
        classes=("ValueError",),
        message=r"does not recognize this architecture",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "flash-attn is not installed",
        "run `pip install flash-attn`, or choose another attention implementation",
        classes=("ImportError",),
        message=r"FlashAttention\d? has been toggled on",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "the package {0} is not installed",
        "run `pip install {0}`",
        classes=("ImportError",),
        message=rf"requires the {PACKAGE} library,? but it was not found",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "the model's own code needs packages that are not installed: {0}",
        "run `{1}`",
        classes=("ImportError",),
        message=r"packages that were not found in your environment: ([\w., -]+)\. "
        r"Run `(pip install [\w. -]+)`",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "sentencepiece or tiktoken is needed to read this tokenizer",
        "run `pip install sentencepiece tiktoken`",
        classes=("ValueError", "ImportError"),
        message=r"need to have sentencepiece or tiktoken installed",
    ),
    Rule(
        ReasonCode.MISSING_PACKAGE,
        "the package {0} is not installed",
        "run `pip install {0}`",
        classes=("ValueError", "ImportError"),
        message=rf"(?:requires?|need to have|install) {PACKAGE}[^\n]*pip install",
    ),
)

RULES: tuple[Rule, ...] = (*OUT_OF_MEMORY_RULES, *DISK_RULES, *HUB_RULES, *LOADING_RULES)
