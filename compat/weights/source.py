"""Finding a target's checkpoint folder: a twin, the hub's cache, or a folder that was given.

Nothing is downloaded here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Checkpoint, Shape, Target, Weights

NEEDED_FILES: tuple[str, ...] = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py")
"""Config, weights, tokenizer, chat template, remote code."""

FOREIGN_FILES: tuple[str, ...] = ("original/*", "onnx/*", "consolidated*", "metal/*")
"""The same weights once more, in formats of other libraries."""

PICKLES: tuple[str, ...] = ("*.bin", "*.pt", "*.pth")
NOT_WEIGHTS: tuple[str, ...] = ("training_args.bin", "optimizer.*", "scheduler.*")

SHARD_INDEX = "model.safetensors.index.json"


def find_checkpoint(
    target: Target,
    spec: ModelSpec,
    *,
    twin_cache: Path | None = None,
    local: Mapping[str, Path] | None = None,
    hub_cache: Path | None = None,
    allow_pickle: bool = False,
    announce: Callable[[str], None] | None = None,
) -> Checkpoint:
    """Find the folder to load `target` from; a twin that does not exist yet is taught.

    `local` has the folders of local weights by the model's name, `hub_cache` replaces the cache
    that huggingface_hub is set to. Raises CannotRun where there is no folder to load from.
    """
    match target.weights:
        case Weights.TWIN:
            from compat.weights.twin import twin_checkpoint

            return twin_checkpoint(spec, cache=twin_cache, announce=announce)
        case Weights.HUB:
            folder = hub_folder(spec, hub_cache, allow_pickle=allow_pickle)
            return Checkpoint(folder, Weights.HUB, read_shape(folder), revision=folder.name)
        case Weights.LOCAL:
            folder = local_folder(target, local or {}, allow_pickle=allow_pickle)
            return Checkpoint(folder, Weights.LOCAL, read_shape(folder))
        case Weights.CONFIG:
            raise ValueError(f"{target.id} has no checkpoint: its model is built from the config")


def hub_folder(
    spec: ModelSpec, hub_cache: Path | None = None, *, allow_pickle: bool = False
) -> Path:
    """Find the model's snapshot in the hub's cache; its name is the commit. Imports no torch.

    Raises CannotRun: not downloaded, incomplete, or pickled weights.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(
                spec.id,
                revision=spec.checkpoint.revision,
                cache_dir=hub_cache,
                local_files_only=True,
                allow_patterns=list(NEEDED_FILES),
                ignore_patterns=list(FOREIGN_FILES),
            )
        )
    except IncompleteSnapshotError:
        raise CannotRun(_incomplete(spec, "files are missing")) from None
    except LocalEntryNotFoundError:
        raise CannotRun(
            Reason(
                ReasonCode.NOT_DOWNLOADED,
                f"not downloaded ({spec.checkpoint.gb:.1f} GB)",
                _download(spec),
            )
        ) from None
    if not (folder / "config.json").is_file():
        raise CannotRun(_incomplete(spec, "config.json is missing"))
    _judge_weights(folder, allow_pickle, lambda what: _incomplete(spec, what))
    return folder


def local_folder(target: Target, local: Mapping[str, Path], *, allow_pickle: bool = False) -> Path:
    """Check the folder that was given for local weights. Imports no torch.

    Raises CannotRun: no folder, no checkpoint in it, files missing, or pickled weights.
    """
    folder = local.get(target.model)
    if folder is None or not folder.is_dir():
        raise CannotRun(
            Reason(
                ReasonCode.NOT_FOUND,
                f"there is no folder for {target.model}",
                "give an existing checkpoint folder: --compat-model FOLDER",
            )
        )

    def lacking(what: str) -> Reason:
        return Reason(
            ReasonCode.NOT_FOUND,
            f"{folder.name} is no complete checkpoint: {what}",
            "give the folder that save_pretrained or `hf download` wrote",
        )

    if not (folder / "config.json").is_file():
        raise CannotRun(lacking("config.json is missing"))
    _judge_weights(folder, allow_pickle, lacking)
    return folder


def read_shape(folder: Path) -> Shape:
    """Read what the checkpoint's config announces. Runs no code of the checkpoint."""
    from transformers import AutoConfig, PretrainedConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from compat.anatomy.config_shape import announced_shape

    written: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if written.get("model_type") in CONFIG_MAPPING:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    else:
        config = PretrainedConfig.from_dict(written)
    return Shape(**asdict(announced_shape(config)))


def _judge_weights(folder: Path, allow_pickle: bool, lacking: Callable[[str], Reason]) -> None:
    """Raise CannotRun unless the folder holds all of its weights in a format that may be read."""
    missing = missing_shards(folder)
    if missing:
        raise CannotRun(lacking(f"{len(missing)} weight files are missing, first {missing[0]}"))
    if any(folder.glob("*.safetensors")):
        return
    pickles = [
        path.name
        for pattern in PICKLES
        for path in folder.glob(pattern)
        if not any(fnmatch(path.name, other) for other in NOT_WEIGHTS)
    ]
    if not pickles:
        raise CannotRun(lacking("there are no weights"))
    if not allow_pickle:
        raise CannotRun(
            Reason(
                ReasonCode.PICKLE_WEIGHTS,
                f"the weights are pickled ({sorted(pickles)[0]}); reading them can run any code",
                "convert them to safetensors where they can be trusted, or allow them with "
                "--compat-allow-pickle",
            )
        )


def missing_shards(folder: Path) -> list[str]:
    """Names of the weight files that the folder's index lists and the folder does not hold."""
    index = folder / SHARD_INDEX
    if not index.is_file():
        return []
    shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return sorted(name for name in shards if not (folder / name).is_file())


def _incomplete(spec: ModelSpec, what: str) -> Reason:
    return Reason(
        ReasonCode.INCOMPLETE_DOWNLOAD, f"the download is incomplete: {what}", _download(spec)
    )


def _download(spec: ModelSpec) -> str:
    return f"run `hf download {spec.id}`, then run again"
