"""A commit of a repository in the hub's cache, looked at without a single request."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from compat.weights.consent import Consent, is_commit
from compat.weights.hub.access import Access
from compat.weights.hub.files import needed_files

if TYPE_CHECKING:
    from compat.registry.spec import ModelSpec

DEFAULT_BRANCH = "main"

Notes = dict[str, str | bool | int]


@dataclass(frozen=True)
class Wanted:
    """A repository that a checkpoint is wanted from."""

    id: str
    revision: str | None = None
    """A commit, a branch or a tag; None: the default branch."""
    gb: float | None = None
    """Size of the checkpoint in GB (10^9 bytes), where somebody has written it down."""
    code: bool = False
    """Whether the model needs Python files of the repository."""
    trust_code: bool = False
    """Whether somebody has written down that this revision's code may be run."""
    trust_pickle: bool = False
    """Whether somebody has written down that this revision's pickles may be read."""

    @classmethod
    def of(cls, spec: ModelSpec) -> Wanted:
        """What an entry of the registry stands for."""
        stored = spec.checkpoint
        return cls(
            spec.id,
            stored.revision,
            stored.gb,
            code=not spec.native,
            trust_code=spec.trust_remote_code,
            trust_pickle=spec.trust_pickle,
        )

    def __str__(self) -> str:
        return self.id if self.revision is None else f"{self.id}@{self.revision}"

    @property
    def branch(self) -> str:
        """What was asked for, named."""
        return self.revision or DEFAULT_BRANCH


@dataclass(frozen=True)
class Snapshot:
    """A folder that `from_pretrained` loads; its name is the commit."""

    folder: Path
    notes: Notes = field(default_factory=dict)
    """What was found in getting it, for the record."""

    @property
    def commit(self) -> str:
        """The commit that it holds."""
        return self.folder.name


def cached_snapshot(wanted: Wanted, access: Access) -> Snapshot | None:
    """The model's snapshot, complete or not; None where nothing of it is in the cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            wanted.id,
            revision=wanted.revision,
            cache_dir=access.cache,
            local_files_only=True,
            allow_patterns=[],  # what it needs is judged below: this only finds the folder
        )
    except LocalEntryNotFoundError:
        return None
    return Snapshot(Path(folder))


def listed_sizes(wanted: Wanted, snapshot: Snapshot, access: Access) -> dict[str, int]:
    """Path -> bytes of all that the repository holds at that commit; empty where not known.

    huggingface_hub keeps the listing beside what it has downloaded.
    """
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        tree = get_cached_repo_tree(wanted.id, revision=snapshot.commit, cache_dir=access.cache)
    except CachedRepoTreeNotFoundError:
        return {}
    return {file.path: file.size for file in tree}


def lacking_files(wanted: Wanted, snapshot: Snapshot, access: Access) -> list[str]:
    """The needed files that the listing has and the folder has not, or not in full."""
    sizes = listed_sizes(wanted, snapshot, access)
    needed = needed_files(sizes, code=fetches_code(wanted, access))
    return [name for name in needed.names if not is_whole(snapshot.folder / name, sizes.get(name))]


def is_whole(path: Path, size: int | None) -> bool:
    """Whether there is a file of that many bytes; None: of any number."""
    return path.is_file() and (size is None or path.stat().st_size == size)


def consent_to_code(wanted: Wanted, access: Access) -> Consent:
    """Who has said yes to running the repository's code."""
    return Consent(wanted.trust_code, is_commit(wanted.revision), access.allow_code)


def consent_to_pickle(wanted: Wanted, access: Access) -> Consent:
    """Who has said yes to reading the repository's pickles."""
    return Consent(wanted.trust_pickle, is_commit(wanted.revision), access.allow_pickle)


def fetches_code(wanted: Wanted, access: Access) -> bool:
    """Whether Python files of the repository are wanted: needed, and consented to."""
    return wanted.code and consent_to_code(wanted, access).given
