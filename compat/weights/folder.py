"""A checkpoint folder judged by its files, whoever has put it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path

from compat.outcomes import CannotRun, Reason
from compat.targets import Shape
from compat.weights.consent import PICKLE, Consent, files_hashed
from compat.weights.sound import read_config, read_full_config, shard_names

PICKLES: tuple[str, ...] = ("*.bin", "*.pt", "*.pth")
NOT_WEIGHTS: tuple[str, ...] = ("training_args.bin", "optimizer.*", "scheduler.*")
SHARD_INDEX = "model.safetensors.index.json"
TOKENIZER_FILES: tuple[str, ...] = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
)
"""One of them is in every checkpoint that carries a tokenizer."""


def read_shape(folder: Path) -> Shape:
    """Read what the checkpoint's config announces. Runs no code of the checkpoint."""
    from transformers import PretrainedConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from compat.anatomy.config_shape import announced_shape

    written = read_config(folder)
    if written["model_type"] in CONFIG_MAPPING:
        config = read_full_config(folder)
    else:
        config = PretrainedConfig.from_dict(written)
    return Shape(**asdict(announced_shape(config)))


def judge_weights(folder: Path, consent: Consent, lacking: Callable[[str], Reason]) -> None:
    """Raise CannotRun unless the folder holds all of its weights in a format that may be read.

    `consent` is to pickles; `lacking` makes the reason for what is missing.
    """
    missing = missing_shards(folder)
    if missing:
        raise CannotRun(lacking(f"{len(missing)} weight files are missing, first {missing[0]}"))
    if any(folder.glob("*.safetensors")):
        return
    pickles = [
        path
        for pattern in PICKLES
        for path in folder.glob(pattern)
        if not any(fnmatch(path.name, other) for other in NOT_WEIGHTS)
    ]
    if not pickles:
        raise CannotRun(lacking("there are no weights"))
    if not consent.given:
        raise CannotRun(consent.refusal(PICKLE, files_hashed(sorted(pickles))))


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds any file of a tokenizer."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def missing_shards(folder: Path) -> list[str]:
    """Names of the weight files that the folder's index lists and the folder does not hold.

    Raises UnsoundCheckpointError for names that lead elsewhere.
    """
    names = shard_names(folder, SHARD_INDEX)
    return [name for name in names if not (folder / name).is_file()]
