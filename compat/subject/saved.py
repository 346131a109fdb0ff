"""A subject saved to disk and loaded again: what is compared with the one that is still there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from compat.outcomes import CannotRun, NotApplicable, Reason, ReasonCode

if TYPE_CHECKING:
    from compat.subject.running import RunningModel

Settings = dict[str, Any]

ZIP = b"PK\x03\x04"
"""How what `torch.save` writes begins: a zip archive of pickles."""
PICKLE_PROTOCOLS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
"""How a bare pickle begins."""

SPARE = 10**8
"""Bytes of disk for everything that is saved besides the weights."""

WRITTEN_BY_SAVING = frozenset(
    {"transformers_version", "_name_or_path", "architectures", "quantization_config"}
)
"""Keys of a config that saving fills in and that say nothing about the model."""


class Store(Protocol):
    """Saves a subject to a folder, and loads it from there."""

    def save(self, subject: RunningModel, folder: Path) -> None:
        """Write model and tokenizer as a checkpoint."""

    def reopen(self, subject: RunningModel, folder: Path) -> AbstractContextManager[RunningModel]:
        """Load a folder as the subject's own checkpoint was loaded, and release it on leaving."""


@dataclass(frozen=True)
class SavedFile:
    """A file that saving wrote."""

    name: str
    size: int
    """In bytes."""
    pickled: bool
    """Whether it begins as a pickle or as an archive of pickles: code runs when it is read."""


@dataclass(frozen=True)
class Reloaded:
    """What was written, and what a load of it came to. Everything is on the CPU."""

    files: tuple[SavedFile, ...]
    logits: torch.Tensor
    """Of the reloaded model over the stream as its own tokenizer cuts it, (length, vocabulary)."""
    tokens: list[int]
    """That stream."""
    tokenizer: Settings
    config: Settings
    generation_config: Settings

    @property
    def weight_files(self) -> tuple[SavedFile, ...]:
        """The safetensors files."""
        return tuple(file for file in self.files if file.name.endswith(".safetensors"))


def save_and_reload(subject: RunningModel, store: Store) -> Reloaded:
    """Save model and tokenizer to a temporary folder, load it, run it, and remove the folder.

    Raises NotApplicable where the quantization of the weights can't be stored, CannotRun where
    the disk is too full, and whatever saving and loading raise.
    """
    _require_serializable(subject.model)
    with tempfile.TemporaryDirectory(prefix="compat-saved-") as name:
        folder = Path(name)
        require_space(folder, subject.load_measures.get("weights_bytes"))
        store.save(subject, folder)
        files = tuple(written_files(folder))
        with store.reopen(subject, folder) as again:
            return Reloaded(
                files=files,
                logits=again.logits(again.text.inputs)[0],
                tokens=again.text.inputs.ids[0].tolist(),
                tokenizer=tokenizer_settings(again.tokenizer),
                config=config_settings(again.model.config),
                generation_config=config_settings(again.model.generation_config),
            )


def require_space(folder: Path, weights: Any) -> None:
    """Raise CannotRun where `folder` has no room for so many bytes of weights."""
    free = shutil.disk_usage(folder).free
    if isinstance(weights, int) and free < weights + SPARE:
        raise CannotRun(
            Reason(
                ReasonCode.DISK_FULL,
                f"saving needs {(weights + SPARE) / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
                "free some of the disk, or let TMPDIR name a folder on a larger one",
            )
        )


def written_files(folder: Path) -> list[SavedFile]:
    """Every file below a folder."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            pickled = begins_as_pickle(file.read(4))
        found.append(SavedFile(str(path.relative_to(folder)), path.stat().st_size, pickled))
    return found


def begins_as_pickle(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a pickle or of what `torch.save` writes."""
    return head.startswith((ZIP, *PICKLE_PROTOCOLS))


def tokenizer_settings(tokenizer: Any) -> Settings:
    """What decides how a tokenizer cuts text and marks it."""
    return {
        "special tokens": {name: str(token) for name, token in _specials(tokenizer).items()},
        "special ids": sorted(tokenizer.all_special_ids),
        "vocabulary": len(tokenizer),
        "chat template": tokenizer.chat_template,
    }


def config_settings(config: Any) -> Settings:
    """A config as a dictionary, without what saving itself writes into it.

    What is null is left out: saving drops it where the class's own default is null too.
    """
    return {
        key: value
        for key, value in config.to_dict().items()
        if key not in WRITTEN_BY_SAVING and value is not None
    }


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Keys whose value is not the same, in order."""
    keys = sorted(before.keys() | after.keys())
    return [key for key in keys if before.get(key) != after.get(key)]


def _specials(tokenizer: Any) -> Mapping[str, Any]:
    specials: Mapping[str, Any] = tokenizer.special_tokens_map
    return specials


def _require_serializable(model: Any) -> None:
    """Raise NotApplicable where transformers can't store weights quantized in this way."""
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None and not quantizer.is_serializable():
        method = quantizer.quantization_config.quant_method
        raise NotApplicable(f"transformers can't store weights quantized by {method}")
