"""From a model to its snapshot: out of the cache, or fetched where there is consent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.outcomes.triage import triage
from compat.weights.consent import (
    REMOTE_CODE,
    consent_of_owner,
    files_listed,
    is_commit,
    refuse_code_elsewhere,
)
from compat.weights.folder import judge_weights
from compat.weights.headers import StoredWeights
from compat.weights.hub.access import Access, Announce, silent
from compat.weights.hub.damage import refuse_damaged
from compat.weights.hub.demands import Installed, is_foreign, refuse_unmet
from compat.weights.hub.download import Download, Listing
from compat.weights.hub.files import code_files, total
from compat.weights.hub.ledger import Ledger
from compat.weights.hub.snapshot import (
    Notes,
    Snapshot,
    Wanted,
    cached_snapshot,
    consent_to_code,
    consent_to_pickle,
    fetches_code,
    lacking_files,
    listed_sizes,
)
from compat.weights.sound import refuse_unsound

SECONDS_TO_REACH = 5.0
SECONDS_TO_ANSWER = 10.0
LICENSE_TAG = "license:"
CONFIG = "config.json"


class Hub:
    """The hub as one process of a run uses it.

    It remembers whether the hub can be reached, which models can't be had and which branches have
    moved, so that no answer is waited for twice.
    """

    def __init__(
        self,
        access: Access | None = None,
        *,
        ledger: Ledger | None = None,
        announce: Announce | None = None,
        installed: Installed | None = None,
    ) -> None:
        self.access = access or Access()
        self._ledger = ledger
        self._announce = announce or silent
        self._installed = installed
        self._refused: dict[tuple[str, str | None], Reason] = {}
        self._notes: dict[tuple[str, str | None], Notes] = {}

    def snapshot(self, wanted: Wanted) -> Snapshot:
        """The complete snapshot of a repository.

        Raises CannotRun: not downloaded, incomplete, what the hub answered, what is missing here,
        pickled weights. Whatever else happens is no reason, and is raised as it is.
        """
        with self._remembered(wanted):
            self._refuse_code(wanted)
            found = self.complete(wanted)
            if found is None:
                self._require_consent(wanted)
                found = self._download(wanted)
            self._judge(wanted, found)
            return replace(found, notes=self._notes_of(wanted, found))

    def complete(self, wanted: Wanted) -> Snapshot | None:
        """The complete snapshot, where it is in the cache: without a request."""
        found = cached_snapshot(wanted, self.access)
        return None if found is None or self._gap(wanted, found) else found

    def small_files(self, wanted: Wanted) -> tuple[Snapshot, Listing]:
        """A snapshot that holds at least all but the weights, and what its repository holds.

        Raises as `snapshot`.
        """
        with self._remembered(wanted):
            self._require_consent(wanted)
            download = self._planned(wanted)
            download.refuse_useless()
            snapshot = download.fetch_small()
            refuse_unsound(snapshot.folder)
            return snapshot, download.listing

    def remote_weights(self, wanted: Wanted, listing: Listing) -> StoredWeights:
        """What a repository's weights are stored as: their headers alone are fetched.

        Raises as `snapshot`.
        """
        with self._remembered(wanted):
            found = self._api.get_safetensors_metadata(wanted.id, revision=listing.commit)
        tensors = (
            (tensor.dtype, tuple(tensor.shape))
            for file in found.files_metadata.values()
            for tensor in file.tensors.values()
        )
        return StoredWeights(tuple(tensors), total(found.files_metadata, listing.sizes))

    @cached_property
    def unreachable(self) -> Reason | None:
        """Why the hub can't be reached; None where it answers. Asked once, and for seconds.

        huggingface_hub retries for half a minute, for each file of each model.
        """
        from huggingface_hub import constants
        from huggingface_hub.utils import get_session

        endpoint = self.access.endpoint or constants.ENDPOINT
        try:
            get_session().head(endpoint, timeout=SECONDS_TO_REACH)
        except Exception as error:  # what triage does not know is raised on
            reason = triage(error)
            if reason is None:
                raise
            return reason
        return None

    def _download(self, wanted: Wanted) -> Snapshot:
        """Fetch the small files, judge by them what is missing here, then fetch the weights."""
        download = self._planned(wanted)
        download.refuse_useless()
        with download.booked():
            snapshot = download.fetch_small()
            refuse_unsound(snapshot.folder)
            self._refuse_unmet(wanted, snapshot, code_files(download.listing.sizes))
            notes = _asked(wanted) | {"downloaded": True} | download.listing.notes
            self._notes[_key(wanted)] = notes
            return download.fetch_weights()

    def _planned(self, wanted: Wanted) -> Download:
        return Download(wanted, self._listing(wanted), self.access, self._ledger, self._announce)

    def _listing(self, wanted: Wanted) -> Listing:
        info = self._api.model_info(
            wanted.id,
            revision=wanted.revision,
            files_metadata=True,
            timeout=SECONDS_TO_ANSWER,
        )
        licenses = [tag for tag in info.tags or () if tag.startswith(LICENSE_TAG)]
        return Listing(
            commit=str(info.sha),
            sizes={sibling.rfilename: sibling.size or 0 for sibling in info.siblings or ()},
            license=licenses[0].removeprefix(LICENSE_TAG) if licenses else None,
            gated=info.gated or False,
            parameters=None if info.safetensors is None else info.safetensors.total,
        )

    @cached_property
    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.access.endpoint, token=self.access.token)

    def _gap(self, wanted: Wanted, found: Snapshot) -> Reason | None:
        """What a cached snapshot lacks; None where it is complete."""
        lacking = lacking_files(wanted, found, self.access)
        if not (found.folder / CONFIG).is_file():
            lacking = [CONFIG]
        if lacking:
            return _incomplete(f"{len(lacking)} files are missing or short, first {lacking[0]}")
        if listed_sizes(wanted, found, self.access):
            return None
        # Nobody knows what the repository holds: the folder itself has to tell.
        try:
            judge_weights(found.folder, consent_of_owner(True), _incomplete)
        except CannotRun as cannot:
            return cannot.reason
        return None

    def _judge(self, wanted: Wanted, snapshot: Snapshot) -> None:
        """Raise CannotRun unless the weights may be read, and what reads them is installed.

        Raises UnsoundCheckpointError for what nobody means well by.
        """
        refuse_unsound(snapshot.folder)
        judge_weights(snapshot.folder, consent_to_pickle(wanted, self.access), _incomplete)
        refuse_damaged(snapshot)
        self._refuse_unmet(wanted, snapshot, self._code_in(wanted, snapshot))

    def _refuse_unmet(self, wanted: Wanted, snapshot: Snapshot, code: list[str]) -> None:
        """Raise CannotRun for what the small files say is missing here; `code` is in the way."""
        runs_code = fetches_code(wanted, self.access)
        if runs_code:
            refuse_code_elsewhere(snapshot.folder)
        elif is_foreign(snapshot.folder):
            raise CannotRun(self._refusal(wanted, code, snapshot.commit))
        refuse_unmet(snapshot.folder, runs_code, self._installed)

    def _refuse_code(self, wanted: Wanted) -> None:
        """Raise CannotRun for a model whose code would run without everybody's consent.

        Says which files: from the cache, or from the hub where it may be asked.
        """
        if not wanted.code or fetches_code(wanted, self.access):
            return
        found = cached_snapshot(wanted, self.access)
        if found is not None:
            raise CannotRun(self._refusal(wanted, self._code_in(wanted, found), found.commit))
        if self.access.may_download and self.unreachable is None:
            listing = self._listing(wanted)
            raise CannotRun(self._refusal(wanted, code_files(listing.sizes), listing.commit))
        commit = wanted.revision if is_commit(wanted.revision) else None
        raise CannotRun(self._refusal(wanted, [], commit))

    def _code_in(self, wanted: Wanted, snapshot: Snapshot) -> list[str]:
        """The Python files of a cached commit, whether they have been fetched or not."""
        here = (path.name for path in snapshot.folder.glob("*.py"))
        return code_files({*here, *listed_sizes(wanted, snapshot, self.access)})

    def _refusal(self, wanted: Wanted, files: list[str], commit: str | None) -> Reason:
        consent = consent_to_code(wanted, self.access)
        return consent.refusal(REMOTE_CODE, files_listed(files, commit), commit)

    def _require_consent(self, wanted: Wanted) -> None:
        """Raise CannotRun where nothing may be downloaded, or there is no way to."""
        if self.access.may_download:
            if self.unreachable is not None:
                raise CannotRun(self.unreachable)
            return
        found = cached_snapshot(wanted, self.access)
        gap = None if found is None else self._gap(wanted, found)
        raise CannotRun(gap or _not_downloaded(wanted))

    def _notes_of(self, wanted: Wanted, found: Snapshot) -> Notes:
        key = _key(wanted)
        if key not in self._notes:
            self._notes[key] = _asked(wanted) | self._whether_moved(wanted, found)
        return self._notes[key]

    def _whether_moved(self, wanted: Wanted, found: Snapshot) -> Notes:
        """Where the branch of a cached snapshot points to by now, if not there any more.

        The hub is asked where there is consent to ask it; it need not answer, for all that is
        tested is here.
        """
        branch = wanted.branch
        offline = not self.access.may_download or self.unreachable is not None
        if offline or branch == found.commit:
            return {}
        try:
            listing = self._listing(wanted)
        except Exception as error:  # a reason not to have it is none not to test what is here
            if triage(error) is None:
                raise
            return {}
        now = listing.commit
        if now == found.commit:
            return listing.notes
        self._announce(
            f"{wanted.id}: {branch} has moved to {now[:12]}; tested is {found.commit[:12]}, which "
            f"is in the cache (`hf download {wanted.id}` brings the new one)"
        )
        return {"branch_moved_to": now} | listing.notes

    @contextmanager
    def _remembered(self, wanted: Wanted) -> Iterator[None]:
        """Turn what is listed into a reason, and give it at once the next time."""
        if _key(wanted) in self._refused:
            raise CannotRun(self._refused[_key(wanted)])
        try:
            yield
        except Exception as error:  # what triage does not know is raised on
            reason = triage(error)
            if reason is None:
                raise
            self._refused[_key(wanted)] = reason
            raise CannotRun(reason) from error


def _key(wanted: Wanted) -> tuple[str, str | None]:
    return wanted.id, wanted.revision


def _asked(wanted: Wanted) -> Notes:
    return {"revision_asked": wanted.branch}


def _not_downloaded(wanted: Wanted) -> Reason:
    size = "" if wanted.gb is None else f" ({wanted.gb:.1f} GB)"
    return Reason(ReasonCode.NOT_DOWNLOADED, f"not downloaded{size}", "add --compat-download")


def _incomplete(what: str) -> Reason:
    return Reason(
        ReasonCode.INCOMPLETE_DOWNLOAD,
        f"the download is incomplete: {what}",
        "add --compat-download: what is whole is kept",
    )
