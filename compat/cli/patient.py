"""Who the doctor is asked about: a model of the registry, one of the hub, or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelSpec, Registry, UnknownModelError
from compat.targets import Weights
from compat.targets.selection import SelectionError
from compat.weights.hub import Access, Hub, Wanted


class UnsoundFolderError(ValueError):
    """A folder that is meant as a checkpoint and can't be read as one."""


@dataclass(frozen=True)
class Patient:
    """A model, and which of its weights are examined."""

    given: str
    """How pytest is told: `--compat-model GIVEN`."""
    spec: ModelSpec
    weights: Weights
    listed: bool
    """Whether it is in the registry."""
    note: str = ""
    """Why these weights, where others would say more."""
    note_action: str = ""

    def added_to(self, registry: Registry) -> Registry:
        """The registry with this model in it."""
        if self.listed:
            return registry
        return registry.model_copy(update={"models": (*registry.models, self.spec)})


def find_patient(
    given: str, weights: Weights | None, registry: Registry, download: float | None
) -> Patient:
    """Find out what a name stands for, and choose its weights where nobody has.

    Of a model of the registry the real checkpoint is examined where it is in the hub's cache or may
    be downloaded, and its twin elsewhere. Raises SelectionError for what is no name of anything,
    UnsoundFolderError, and CannotRun where the hub can't be asked about a model.
    """
    folder = Path(given).expanduser()
    if (folder / "config.json").is_file():
        _only(Weights.LOCAL, weights, given)
        return Patient(str(folder.resolve()), _of_folder(folder), Weights.LOCAL, listed=False)
    if folder.is_dir() or given.startswith((".", "/", "~")):
        raise SelectionError(f"{given!r} is no checkpoint: it holds no config.json")
    name, at, revision = given.partition("@")
    known = registry.by_name.get(name)
    if known is not None:
        return _listed(given, known, weights, Wanted.of(known), revision if at else None, download)
    if "/" not in name:
        raise SelectionError(str(_unknown(name, registry)))
    _only(Weights.HUB, weights, given)
    return _unlisted(Wanted(name, revision or None), given, registry, download)


def _listed(
    given: str,
    spec: ModelSpec,
    weights: Weights | None,
    wanted: Wanted,
    revision: str | None,
    download: float | None,
) -> Patient:
    if weights is Weights.LOCAL:
        raise SelectionError(f"--weights local: give the folder in the place of {given!r}")
    if revision is not None:
        _only(Weights.HUB, weights, given)
        return Patient(given, spec, Weights.HUB, listed=True)
    if weights is not None:
        return Patient(given, spec, weights, listed=True)
    if download is not None or Hub().complete(wanted) is not None or not spec.native:
        return Patient(given, spec, Weights.HUB, listed=True)
    return Patient(
        given,
        spec,
        Weights.TWIN,
        listed=True,
        note=f"the checkpoint is not here ({spec.checkpoint.gb:g} GB): its twin is examined, a "
        "small model of its kind that was taught a text",
        note_action="add --download any to examine the checkpoint",
    )


def _unlisted(wanted: Wanted, given: str, registry: Registry, download: float | None) -> Patient:
    from compat.weights.hub.describe import hub_spec
    from compat.weights.local import NotACheckpointError

    try:
        spec = hub_spec(Hub(Access(download=download)), wanted)
    except NotACheckpointError as error:
        raise UnsoundFolderError(str(error)) from error
    except CannotRun as cannot:
        raise CannotRun(_with_near_names(cannot.reason, wanted.id, registry)) from cannot
    return Patient(given, spec, Weights.HUB, listed=False)


def _with_near_names(reason: Reason, name: str, registry: Registry) -> Reason:
    """A model that nobody has here may be a slip of the pen."""
    near = get_close_matches(name, registry.by_name, n=3, cutoff=0.6)
    missing = (ReasonCode.NOT_FOUND, ReasonCode.NOT_DOWNLOADED, ReasonCode.OFFLINE)
    if not near or reason.code not in missing:
        return reason
    action = f"{reason.action}; or did you mean {' or '.join(near)}?"
    return Reason(reason.code, reason.text, action)


def _of_folder(folder: Path) -> ModelSpec:
    from compat.weights.local import NotACheckpointError, local_spec

    try:
        return local_spec(folder)
    except NotACheckpointError as error:
        raise UnsoundFolderError(str(error)) from error


def _only(fitting: Weights, asked: Weights | None, given: str) -> None:
    if asked not in (None, fitting):
        raise SelectionError(f"--weights {asked}: {given!r} has {fitting} weights only")


def _unknown(name: str, registry: Registry) -> UnknownModelError:
    try:
        registry.by_id(name)
    except UnknownModelError as error:
        return error
    raise AssertionError(f"{name} is known")
