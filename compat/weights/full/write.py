"""Writing a full-size checkpoint file by file, so that never more than one is in memory."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.results.atomic import replace_text
from compat.weights.folder import SHARD_INDEX
from compat.weights.full.draw import draw
from compat.weights.full.manifest import MANIFEST, FullManifest
from compat.weights.full.outline import Outline
from compat.weights.headers import holds_exactly
from compat.weights.progress import GIGABYTE, Progress, gigabytes
from compat.weights.twin import twin_checkpoint
from compat.weights.twin.manifest import MANIFEST as TWIN_MANIFEST

FILE_BYTES = 10**9
"""Largest file, unless one tensor is larger: as much is in memory at a time."""
SPARE_DISK = GIGABYTE
CONFIG = "config.json"
UNFINISHED = ".unfinished"
DRAWN_BY = ("torch", "transformers")


class OccupiedFolderError(FileExistsError):
    """The folder to write to holds something else."""


@dataclass(frozen=True)
class Written:
    """A full-size checkpoint on disk."""

    folder: Path
    parameters: int
    size: int
    """Bytes of all tensors."""
    files: int
    kept: int
    """Files that an earlier, interrupted write had left whole."""


def write_full(
    spec: ModelSpec,
    folder: Path,
    *,
    twin_cache: Path | None = None,
    file_bytes: int = FILE_BYTES,
    announce: Callable[[str], None] = lambda _text: None,
) -> Written:
    """Write a checkpoint of `spec` at full size, with random weights and its twin's tokenizer.

    What an interrupted call leaves in `folder` lists files that are not there, so nobody takes it
    for a checkpoint; called again, it goes on where it was. The same call gives the same bytes.

    Raises CannotRun where transformers has no class for the model, its stored format can't be
    written or the disk has no room; OccupiedFolderError; and OSError.
    """
    twin = twin_checkpoint(spec, cache=twin_cache, announce=announce).folder
    outline = Outline.of(spec, twin, file_bytes)
    manifest = _manifest(spec, outline)
    _refuse_other(folder, manifest)
    kept = [file for file in outline.files if _is_whole(folder / file, outline)]
    missing = [file for file in outline.files if file not in kept]
    size = sum(map(outline.file_size, missing))
    require_disk(folder, size)

    folder.mkdir(parents=True, exist_ok=True)
    manifest.write(folder)
    _write_index(folder, outline)
    _write_texts(folder, outline, twin)
    progress = Progress("writing", "wrote", spec.id, size, announce)
    progress.begin()
    done = 0
    for file in missing:
        with _unfinished(folder / file) as path:
            done = _write_file(path, outline, file, done, progress)
    if len(outline.files) == 1:
        (folder / SHARD_INDEX).unlink()
    manifest.finished().write(folder)
    progress.end()
    return Written(folder, outline.parameters, outline.size, len(outline.files), len(kept))


def require_disk(folder: Path, size: int) -> None:
    """Raise CannotRun where the disk of `folder` has no room for `size` more bytes."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if size + SPARE_DISK > free:
        raise CannotRun(
            Reason(
                ReasonCode.DISK_FULL,
                f"the checkpoint needs {gigabytes(size)} and {gigabytes(SPARE_DISK)} to spare; "
                f"the disk has {gigabytes(free)}",
                "free disk space, or give a folder on a larger disk",
            )
        )


def _write_file(path: Path, outline: Outline, file: str, done: int, progress: Progress) -> int:
    """Draw and write the weights of a file. Returns the bytes that are done after it."""
    tensors: dict[str, Tensor] = {}
    for name in outline.files[file]:
        stored = outline.as_stored(name, draw(outline.model, name, outline.small))
        # A part of a fused weight may be a strided view of it, which safetensors does not write.
        tensors |= {key: value.contiguous() for key, value in stored.items()}
        done += sum(value.nbytes for value in stored.values())
        progress.reached(done)
    save_file(tensors, path, metadata={"format": "pt"})
    return done


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` on leaving, or is removed where that fails."""
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        yield unfinished
        unfinished.chmod(0o644)  # safetensors gives 0600, and a disk may be shared
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_index(folder: Path, outline: Outline) -> None:
    """Written first, and for a single file too, which then needs none: it tells what is missing."""
    where = {key: file for file in outline.files for key in outline.stored_in(file)}
    index = {"metadata": {"total_size": outline.size}, "weight_map": dict(sorted(where.items()))}
    replace_text(folder / SHARD_INDEX, json.dumps(index, indent=1) + "\n")


def _write_texts(folder: Path, outline: Outline, twin: Path) -> None:
    """The config, and the twin's tokenizer and settings of generation."""
    outline.model.config.save_pretrained(folder)
    for path in twin.iterdir():
        if path.suffix != ".safetensors" and path.name not in (CONFIG, TWIN_MANIFEST):
            shutil.copyfile(path, folder / path.name)


def _manifest(spec: ModelSpec, outline: Outline) -> FullManifest:
    facts = [
        outline.model.config.to_json_string(use_diff=False),
        {name: list(held) for name, held in outline.files.items()},
        {name: version(name) for name in DRAWN_BY},
    ]
    recipe = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]
    return FullManifest(spec.id, recipe, outline.parameters, outline.size)


def _refuse_other(folder: Path, manifest: FullManifest) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    found = FullManifest.read(folder)
    if found is None:
        raise OccupiedFolderError(f"{folder} is not empty, and holds no {MANIFEST} to go on with")
    if (found.model, found.recipe) != (manifest.model, manifest.recipe):
        raise OccupiedFolderError(
            f"{folder} holds another checkpoint, or one by other libraries ({found.model}): "
            "remove it, or give another folder"
        )


def _is_whole(path: Path, outline: Outline) -> bool:
    expected = {key: tuple(tensor.shape) for key, tensor in outline.stored_in(path.name).items()}
    return path.is_file() and holds_exactly(path, expected)
