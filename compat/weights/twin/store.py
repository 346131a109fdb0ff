"""Finding a twin in the cache, or having it made. Imports no torch until one must be made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Checkpoint, Weights
from compat.weights.twin.folders import built_once
from compat.weights.twin.key import twin_key
from compat.weights.twin.manifest import MANIFEST, Manifest

CACHE_VARIABLE = "COMPAT_TWIN_CACHE"
_SHOWN_POINTS = 10


class TwinNotTaughtError(RuntimeError):
    """A twin that did not learn its lesson; `loss_curve` (nats) shows how it went."""

    def __init__(self, model: str, loss_curve: Sequence[float], margin: float | None) -> None:
        self.loss_curve = tuple(loss_curve)
        step = max(1, len(self.loss_curve) // _SHOWN_POINTS)
        shown = " ".join(f"{loss:.3g}" for loss in self.loss_curve[::step])
        known = "never near" if margin is None else f"least margin {margin:.2f} logits"
        super().__init__(
            f"the twin of {model} did not learn its lesson ({known}); "
            f"loss in nats, evenly spaced: {shown}"
        )


def default_cache() -> Path:
    """`$COMPAT_TWIN_CACHE`, else `compat/twins` in the user's cache folder."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "compat" / "twins"


def twin_checkpoint(
    spec: ModelSpec,
    *,
    cache: Path | None = None,
    announce: Callable[[str], None] | None = None,
) -> Checkpoint:
    """The taught twin of `spec`, from the cache or made now, by one process among all.

    Raises CannotRun where transformers has no class for the model, TwinNotTaughtError where the
    twin did not learn.
    """
    _require_native(spec)
    root = default_cache() if cache is None else cache
    key = twin_key(spec)
    folder = root / "models" / f"{spec.slug}-{key}"
    found = _whole(folder)
    if found is None:

        def build(target: Path) -> None:
            from compat.weights.twin.write import write_checkpoint

            write_checkpoint(spec, target, root, announce or _silent)

        built_once(folder, build, is_complete=lambda built: _whole(built) is not None)
        found = _whole(folder)
    if found is None:
        raise RuntimeError(f"the twin of {spec.id} vanished from the cache")
    return _checkpoint(folder, found)


def write_twin(
    spec: ModelSpec, folder: Path, *, announce: Callable[[str], None] | None = None
) -> Checkpoint:
    """Copy the twin of `spec` to `folder`, which must not exist or be empty.

    Raises FileExistsError where `folder` holds something, else as `twin_checkpoint`.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    made = twin_checkpoint(spec, announce=announce)
    shutil.copytree(made.folder, folder, dirs_exist_ok=True)
    return _checkpoint(folder, _read(folder))


def _silent(message: str) -> None:
    """Nobody wants to know."""


def _require_native(spec: ModelSpec) -> None:
    if not spec.native:
        raise CannotRun(
            Reason(
                ReasonCode.NO_TWIN,
                f"{spec.id} runs on code of its own; transformers has no class to build it small",
                "the model's authors or transformers: add a native class",
            )
        )


def _whole(folder: Path) -> Manifest | None:
    """The manifest of `folder` where nothing is missing or changed."""
    manifest = Manifest.read(folder)
    return manifest if manifest is not None and manifest.matches(folder) else None


def _read(folder: Path) -> Manifest:
    manifest = Manifest.read(folder)
    if manifest is None:
        raise FileNotFoundError(f"no {MANIFEST} in {folder}")
    return manifest


def _checkpoint(folder: Path, manifest: Manifest) -> Checkpoint:
    taught = manifest.taught
    if not taught.learned:
        raise TwinNotTaughtError(manifest.model, taught.loss_curve, taught.margin)
    return Checkpoint(
        folder=folder,
        weights=Weights.TWIN,
        shape=manifest.shape,
        revision=manifest.key,
        lesson=manifest.lesson,
    )
