"""What the person who runs the suite allows of the hub."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compat.weights.progress import GIGABYTE, gigabytes

__all__ = ["ANY_SIZE", "GIGABYTE", "Access", "Announce", "gigabytes", "silent"]

ANY_SIZE = math.inf


@dataclass(frozen=True)
class Access:
    """Consent, and where to. Nothing is fetched and nothing is asked without consent."""

    download: float | None = None
    """GB (10^9 bytes) that this run may download in all; None: nothing."""
    allow_pickle: bool = False
    """Take pickled weights where there are no others, of models whose entry trusts them."""
    allow_code: bool = False
    """Fetch the code of models whose entry trusts it."""
    cache: Path | None = None
    """The cache of checkpoints; None: the one that huggingface_hub is set to (HF_HOME)."""
    endpoint: str | None = None
    """The hub's address; None: the one that huggingface_hub is set to (HF_ENDPOINT)."""
    token: str | None = None
    """An access token; None: the one that huggingface_hub finds (HF_TOKEN, `hf auth login`)."""

    @property
    def may_download(self) -> bool:
        """Whether anything at all may be fetched."""
        return self.download is not None

    @property
    def cache_folder(self) -> Path:
        """The cache, named."""
        if self.cache is not None:
            return self.cache
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE)


Announce = Callable[[str], None]


def silent(message: str) -> None:
    """Tell nobody."""
