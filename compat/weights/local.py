"""A registry entry for a checkpoint folder that is in no registry, read from the folder itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from compat.anatomy.config_shape import AnnouncedShape, ConfigShapeError, announced_shape
from compat.registry.spec import (
    BlockFacts,
    CheckpointFacts,
    Evidence,
    ModelClass,
    ModelSpec,
    TokenizerKind,
    WidthFacts,
)
from compat.weights.folder import missing_shards
from compat.weights.full import is_unfinished
from compat.weights.headers import NoHeaderError, StoredWeights, stored_weights
from compat.weights.hub.demands import packages_needed
from compat.weights.sound import NotACheckpointError as NotACheckpointError
from compat.weights.sound import (
    read_config,
    read_full_config,
    read_json,
    refuse_outsiders,
    refuse_unsound,
)

ORGANISATION = "local"
"""Stands where a hub id has the organisation."""

UNKNOWN_LICENSE = "unknown"
"""Licence of an entry that nobody has written down."""

UNKNOWN_CLASS = ""
"""Block class of an entry that nobody has written down."""


def local_spec(folder: Path) -> ModelSpec:
    """Describe a checkpoint folder, from its config and the headers of its weights.

    Nothing of the checkpoint is executed, and torch is imported only where a config leaves its
    numbers to the defaults of its class. Raises NotACheckpointError.
    """
    _read_config(folder)
    refuse_outsiders(folder)
    refuse_unsound(folder)
    missing = missing_shards(folder)
    if missing:
        raise NotACheckpointError(
            f"{folder} lacks weight files: {', '.join(missing)}"
            + ("; let `compat twin --full` go on with it" if is_unfinished(folder) else "")
        )
    try:
        stored = stored_weights(folder)
    except NoHeaderError as error:
        raise NotACheckpointError(str(error)) from error
    name = re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-._") or "checkpoint"
    spec = describe(
        folder,
        stored,
        model=f"{ORGANISATION}/{name}",
        slug=slug_of(name),
        source="the folder's config.json",
    )
    # Who gives a folder by its path answers for it: there is no other entry to say so.
    return spec.model_copy(update={"trust_remote_code": True, "trust_pickle": True})


def slug_of(name: str) -> str:
    """A name as test ids have it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "checkpoint"


def describe(
    folder: Path, stored: StoredWeights, *, model: str, slug: str, source: str
) -> ModelSpec:
    """What a registry would say of the checkpoint whose config and tokenizer are in `folder`.

    `stored` is what its weights are stored as, wherever they are; `source` is where the facts are
    from. Raises NotACheckpointError.
    """
    config = _read_config(folder)
    shape = _shape(config, folder)
    if not stored.tensors:
        raise NotACheckpointError(
            f"{folder} holds no safetensors weights; pickled ones are converted by save_pretrained"
        )
    architectures = config.get("architectures") or ["unknown"]
    native = _is_native(config)
    quantization = config.get("quantization_config") or {}
    return ModelSpec(
        id=model,
        slug=slug,
        family=str(config["model_type"]),
        model_class=_model_class(config, shape),
        architecture=str(architectures[0]),
        native=native,
        config=config,
        blocks=_blocks(shape.blocks),
        encoder=None if shape.encoder_blocks is None else _blocks(shape.encoder_blocks),
        vision=None if shape.vision_blocks is None else _blocks(shape.vision_blocks),
        widths=WidthFacts(
            hidden=shape.hidden,
            vocabulary=shape.vocabulary,
            heads=shape.heads,
            key_value_heads=shape.key_value_heads,
            head=shape.head,
        ),
        parameters=stored.elements,
        checkpoint=CheckpointFacts(
            dtype=stored.dtype,
            gb=stored.size / 1e9,
            quantization=quantization.get("quant_method"),
            license=UNKNOWN_LICENSE,
        ),
        tokenizer=_tokenizer_kind(folder),
        requires=tuple(dict.fromkeys(packages_needed(folder))),
        evidence=Evidence(confidence="verified", sources=(source,)),
    )


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise NotACheckpointError(f"{folder} is no folder")
    path = folder / "config.json"
    if not path.is_file():
        raise NotACheckpointError(f"{folder} is no checkpoint: it has no config.json")
    return read_config(folder)


def _shape(config: dict[str, Any], folder: Path) -> AnnouncedShape:
    try:
        return announced_shape(config)
    except ConfigShapeError:
        pass
    try:
        return announced_shape(read_full_config(folder))
    except Exception as error:  # a class may raise anything for what a stranger has written
        raise NotACheckpointError(f"{folder}: the config can't be read: {error}") from error


def _is_native(config: dict[str, Any]) -> bool:
    """Whether transformers has the model's class; many that it has still carry their old code."""
    if "auto_map" not in config:
        return True
    from transformers.models.auto.auto_mappings import CONFIG_MAPPING_NAMES  # imports no torch

    return config["model_type"] in CONFIG_MAPPING_NAMES


def _model_class(config: dict[str, Any], shape: AnnouncedShape) -> ModelClass:
    if shape.vision_blocks is not None:
        return ModelClass.IMAGE_TEXT
    return ModelClass.SEQ2SEQ if config.get("is_encoder_decoder") else ModelClass.CAUSAL_LM


def _blocks(count: int) -> BlockFacts:
    return BlockFacts(count=count, block_class=UNKNOWN_CLASS, path="")


def _tokenizer_kind(folder: Path) -> TokenizerKind:
    """Read how the tokenizer cuts text; SentencePiece where only its own file is there."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return TokenizerKind.SENTENCEPIECE_BPE
    written = read_json(path)
    model = written.get("model") if isinstance(written, dict) else None
    if not isinstance(model, dict):
        raise NotACheckpointError(f"{path.name} is no tokenizer's: it has no model")
    if model.get("type") == "Unigram":
        return TokenizerKind.UNIGRAM
    byte_level = b"ByteLevel" in path.read_bytes()
    return TokenizerKind.BYTE_LEVEL_BPE if byte_level else TokenizerKind.SENTENCEPIECE_BPE
