"""What the hub answers, or why it does not, as reasons not to run."""

from __future__ import annotations

from compat.outcomes.reason import ReasonCode
from compat.outcomes.rule import Rule

NETWORK_ERRORS = (
    "OfflineModeIsEnabled",
    "NetworkError",
    "TimeoutException",
    "ProxyError",
    "ConnectionError",
    "gaierror",
)
RETRY_ONLINE = "connect to the network, unset HF_HUB_OFFLINE, then run again"

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
        "no repository can have such a name",
        "check the model's id in models.yaml",
        classes=("HFValidationError",),
    ),
    Rule(
        ReasonCode.NOT_FOUND,
        "the repository has no such revision",
        "check the model's revision in models.yaml",
        classes=("RevisionNotFoundError",),
    ),
    Rule(
        ReasonCode.NO_TOKEN,
        "the hub does not know the token that was sent",
        "run `hf auth login` with a token that is valid, then run again",
        classes=("HfHubHTTPError", "HTTPStatusError"),
        status=range(401, 402),
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
        classes=("RemoteProtocolError", "IncompleteRead", "XetDownloadError"),
    ),
    Rule(
        ReasonCode.INCOMPLETE_DOWNLOAD,
        "a download has another size than the hub says",
        "run again: files that are whole are kept",
        classes=("OSError",),
        message=r"^Consistency check failed: file should be of size",
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
        "Xet storage, in which the hub keeps these files, can't be reached from here",
        "check the proxy, or set HF_HUB_DISABLE_XET=1 to fetch them as plain files, then run again",
        classes=("RuntimeError",),
        message=r"CAS Client Error: .*error sending request",
    ),
    Rule(
        ReasonCode.OFFLINE,
        "what answers in the hub's place is no hub",
        "check HF_ENDPOINT and the proxy, then run again",
        classes=("FileMetadataError",),
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
