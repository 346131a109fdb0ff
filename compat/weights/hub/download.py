"""Fetching a model's files into the hub's cache: judged, booked, told of, gone on with."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.weights.consent import PICKLE, files_listed
from compat.weights.hub.access import GIGABYTE, Access, Announce, gigabytes, silent
from compat.weights.hub.files import NeededFiles, needed_files, total
from compat.weights.hub.ledger import Ledger
from compat.weights.hub.patience import limited_patience
from compat.weights.hub.progress import DownloadProgress, bar_class
from compat.weights.hub.snapshot import (
    Notes,
    Snapshot,
    Wanted,
    consent_to_pickle,
    fetches_code,
    is_whole,
)
from compat.weights.sound import UnsoundCheckpointError, too_large

XET_PATIENCE = {
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "3",
    "HF_XET_CLIENT_RETRY_BASE_DELAY": "500ms",
    "HF_XET_CLIENT_RETRY_MAX_DURATION": "20s",
}
"""How long Xet's client goes on asking a storage that does not answer: by itself, for minutes."""

SPARE_DISK = GIGABYTE
"""Bytes that a download leaves free."""


@dataclass(frozen=True)
class Listing:
    """What the hub says that a repository holds at a commit."""

    commit: str
    sizes: Mapping[str, int]
    """Path -> bytes."""
    license: str | None = None
    gated: str | bool = False
    parameters: int | None = None
    """Numbers in all stored tensors, where the hub has counted them."""

    @property
    def notes(self) -> Notes:
        """What the hub itself says of the model, for the record."""
        said: dict[str, str | bool | int | None] = {
            "hub_license": self.license or "none",
            "hub_gated": self.gated,
            "hub_stored_parameters": self.parameters,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Download:
    """What is to be fetched for one model."""

    wanted: Wanted
    listing: Listing
    access: Access
    ledger: Ledger | None
    announce: Announce

    @cached_property
    def needed(self) -> NeededFiles:
        """The files that the checkpoint is loaded from."""
        return needed_files(self.listing.sizes, code=fetches_code(self.wanted, self.access))

    @property
    def folder(self) -> Path:
        """Where huggingface_hub keeps the commit."""
        from huggingface_hub.file_download import repo_folder_name

        name: str = repo_folder_name(repo_id=self.wanted.id, repo_type="model")
        return self.access.cache_folder / name / "snapshots" / self.listing.commit

    def refuse_useless(self) -> None:
        """Raise CannotRun where the repository holds nothing that may be loaded.

        Raises UnsoundCheckpointError for a tokenizer without bounds and its like.
        """
        problem = too_large({name: self.listing.sizes[name] for name in self.needed.small})
        if problem is not None:
            raise UnsoundCheckpointError(problem)
        if "config.json" not in self.needed.small:
            raise CannotRun(_nothing_to_load("config.json"))
        if not self.needed.weights:
            raise CannotRun(_nothing_to_load("weights in safetensors"))
        consent = consent_to_pickle(self.wanted, self.access)
        if self.needed.pickled and not consent.given:
            files = files_listed([*self.needed.weights], self.listing.commit)
            raise CannotRun(consent.refusal(PICKLE, files, self.listing.commit))

    @contextmanager
    def booked(self) -> Iterator[None]:
        """Judge the size of what is not here yet by consent and disk, and book it.

        Inside, it is fetched; what fails is taken off the books again. Raises CannotRun.
        """
        wanted = [
            name
            for name in self.needed.names
            if not is_whole(self.folder / name, self.listing.sizes.get(name))
        ]
        size = total(wanted, self.listing.sizes)
        self._require_disk(size)
        self._require_consent(size)
        try:
            yield
        except BaseException:  # Ctrl-C too: tidied up, and raised on
            if self.ledger is not None:
                self.ledger.give_back(self.wanted.id, size)
            raise

    def fetch_small(self) -> Snapshot:
        """Fetch all but the weights, without a word."""
        return self._fetch(self.needed.small, silent)

    def fetch_weights(self) -> Snapshot:
        """Fetch the weights, and tell how it gets on."""
        return self._fetch(self.needed.weights, self.announce)

    def _fetch(self, names: Iterable[str], announce: Announce) -> Snapshot:
        """Bring files of the commit into the cache; those that are there and whole are kept."""
        from huggingface_hub import snapshot_download

        wanted = list(names)
        size = total(wanted, self.listing.sizes)
        progress = DownloadProgress(self.wanted.id, size, announce)
        progress.begin()
        for setting, value in XET_PATIENCE.items():
            os.environ.setdefault(setting, value)
        with self._noted(wanted), limited_patience():
            folder = snapshot_download(
                self.wanted.id,
                revision=self.listing.commit,
                cache_dir=self.access.cache,
                endpoint=self.access.endpoint,
                token=self.access.token,
                allow_patterns=list(map(glob.escape, wanted)),
                tqdm_class=bar_class(progress),
            )
        progress.end()
        self._remember_branch(Path(folder))
        return Snapshot(Path(folder))

    @contextmanager
    def _noted(self, wanted: list[str]) -> Iterator[None]:
        """Write into the books which of the files have come to be inside, whatever went wrong."""
        lacking = [name for name in wanted if not (self.folder / name).is_file()]
        try:
            yield
        finally:
            fetched = [name for name in lacking if (self.folder / name).is_file()]
            if self.ledger is not None and fetched:
                below = self.folder.relative_to(self.access.cache_folder)
                self.ledger.note(self.wanted.id, below, fetched)

    def _remember_branch(self, folder: Path) -> None:
        """Write where the branch points to, as huggingface_hub does: offline it is found there."""
        branch = self.wanted.branch
        if branch != folder.name:
            ref = folder.parents[1] / "refs" / branch
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(folder.name, encoding="utf-8")

    def _require_disk(self, size: int) -> None:
        cache = self.access.cache_folder
        existing = next(path for path in (cache, *cache.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if size + SPARE_DISK > free:
            raise CannotRun(
                Reason(
                    ReasonCode.DISK_FULL,
                    f"the download needs {gigabytes(size)} and {gigabytes(SPARE_DISK)} to spare; "
                    f"the cache's disk has {gigabytes(free)}",
                    "free disk space, point HF_HOME at a larger disk, or add --compat-evict",
                )
            )

    def _require_consent(self, size: int) -> None:
        allowed = self.access.download or 0.0
        limit = allowed * GIGABYTE
        left = limit if self.ledger is None else self.ledger.reserve(self.wanted.id, size, limit)
        if left is not None and size > left:
            raise CannotRun(
                Reason(
                    ReasonCode.NOT_DOWNLOADED,
                    f"not downloaded ({gigabytes(size)}, and {gigabytes(left)} are left of the "
                    f"{allowed:g} GB that this run may download)",
                    "allow more with --compat-download=GB",
                )
            )


def _nothing_to_load(what: str) -> Reason:
    return Reason(
        ReasonCode.NOT_FOUND,
        f"the repository has no {what}",
        "check the model's id in models.yaml: another repository may hold its checkpoint",
    )
