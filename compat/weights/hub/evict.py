"""Taking out of the cache what a run has put there, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compat.weights.hub.access import gigabytes
from compat.weights.hub.ledger import Ledger


def evict(ledger: Ledger, model: str, cache: Path) -> str:
    """Remove the files that this run has fetched for a model. Returns their size in words.

    Where a snapshot holds nothing else, huggingface_hub deletes it as a whole; where somebody had
    some of its files before, only the run's own go. Empty text: there was nothing to remove.
    """
    freed = 0
    for below, files in ledger.fetched(model).items():
        snapshot = cache / below
        there = {
            path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()
        }
        fetched = files & there
        freed += sum((snapshot / name).stat().st_size for name in fetched)
        if not fetched:
            continue
        if there <= files:
            _delete_revision(model, snapshot.name, cache)
        else:
            _delete_files(snapshot, fetched)
    return gigabytes(freed) if freed else ""


def _delete_revision(model: str, commit: str, cache: Path) -> None:
    from huggingface_hub import scan_cache_dir

    found = scan_cache_dir(cache)
    # A commit alone names no repository: one that was duplicated on the hub has it too.
    own = frozenset(repo for repo in found.repos if repo.repo_id == model)
    replace(found, repos=own).delete_revisions(commit).execute()


def _delete_files(snapshot: Path, files: set[str]) -> None:
    """Unlink files, and their blobs where no other commit has them too."""
    blobs = {(snapshot / name).resolve() for name in files}
    for name in files:
        (snapshot / name).unlink()
    kept = {path.resolve() for path in snapshot.parent.rglob("*") if path.is_symlink()}
    for blob in blobs - kept:
        blob.unlink(missing_ok=True)
