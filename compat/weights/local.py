"""A registry entry for a checkpoint folder that is in no registry, read from the folder itself."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
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
from compat.weights.headers import NoHeaderError, read_header

ORGANISATION = "local"
"""Stands where a hub id has the organisation."""

UNKNOWN_CLASS = ""
"""Block class of an entry that nobody has written down."""

DTYPE_NAMES: dict[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I8": "int8",
    "U8": "uint8",
}
"""safetensors' names of dtypes, as torch spells them."""


class NotACheckpointError(ValueError):
    """A folder given as a checkpoint is none; the message says what is missing."""


def local_spec(folder: Path) -> ModelSpec:
    """Describe a checkpoint folder, from its config and the headers of its weights.

    Nothing of the checkpoint is executed, and torch is imported only where a config leaves its
    numbers to the defaults of its class. Raises NotACheckpointError.
    """
    config = _read_config(folder)
    shape = _shape(config, folder)
    tensors = list(_tensors(folder))
    if not tensors:
        raise NotACheckpointError(
            f"{folder} holds no safetensors weights; pickled ones are converted by save_pretrained"
        )
    name = re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-._") or "checkpoint"
    architectures = config.get("architectures") or ["unknown"]
    native = _is_native(config)
    return ModelSpec(
        id=f"{ORGANISATION}/{name}",
        slug=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "checkpoint",
        family=str(config["model_type"]),
        model_class=_model_class(config, shape),
        architecture=str(architectures[0]),
        native=native,
        remote_code=not native,
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
        parameters=sum(math.prod(tensor["shape"]) for tensor in tensors),
        checkpoint=_checkpoint_facts(config, tensors, folder),
        tokenizer=_tokenizer_kind(folder),
        evidence=Evidence(confidence="verified", sources=("the folder's config.json",)),
    )


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise NotACheckpointError(f"{folder} is no folder")
    path = folder / "config.json"
    if not path.is_file():
        raise NotACheckpointError(f"{folder} is no checkpoint: it has no config.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NotACheckpointError(f"{path} is no JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise NotACheckpointError(f"{path} is no model's config: it has no model_type")
    return config


def _shape(config: dict[str, Any], folder: Path) -> AnnouncedShape:
    try:
        return announced_shape(config)
    except ConfigShapeError:
        pass
    from transformers import AutoConfig

    try:
        full = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return announced_shape(full)
    except (ConfigShapeError, ValueError, OSError) as error:
        raise NotACheckpointError(f"{folder}: the config can't be read: {error}") from error


def _tensors(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield dtype and shape of every stored tensor, from the headers of the weight files."""
    missing = missing_shards(folder)
    if missing:
        raise NotACheckpointError(f"{folder} lacks weight files: {', '.join(missing)}")
    for path in sorted(folder.glob("*.safetensors")):
        try:
            yield from read_header(path).values()
        except NoHeaderError as error:
            raise NotACheckpointError(str(error)) from error


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


def _checkpoint_facts(
    config: dict[str, Any], tensors: list[dict[str, Any]], folder: Path
) -> CheckpointFacts:
    dtypes = [tensor["dtype"] for tensor in tensors]
    most = max(sorted(set(dtypes)), key=dtypes.count)
    stored = config.get("quantization_config") or {}
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return CheckpointFacts(
        dtype=DTYPE_NAMES.get(most, most),
        gb=size / 1e9,
        quantization=stored.get("quant_method"),
        license="unknown",
    )


def _tokenizer_kind(folder: Path) -> TokenizerKind:
    """Read how the tokenizer cuts text; SentencePiece where only its own file is there."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return TokenizerKind.SENTENCEPIECE_BPE
    text = path.read_text(encoding="utf-8")
    if json.loads(text)["model"].get("type") == "Unigram":
        return TokenizerKind.UNIGRAM
    return TokenizerKind.BYTE_LEVEL_BPE if "ByteLevel" in text else TokenizerKind.SENTENCEPIECE_BPE
