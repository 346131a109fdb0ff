"""Whether what a checkpoint says of itself can be believed: judged before anything is built of it.

Its files are a stranger's. Each is bounded in size, leads to no other place of this machine, and
announces no more than its weights can hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compat.anatomy.config_shape import AnnouncedShape, ConfigShapeError, announced_shape
from compat.outcomes.bounds import BoundsExceededError, bounded
from compat.weights.headers import NoHeaderError, StoredWeights, stored_weights

LARGEST_FILE = 100_000_000
"""Bytes of a file that is read as text. The largest tokenizer that is known has a third of that."""
DEEPEST = 64
"""How deep lists and objects of a JSON file may lie in one another."""
MOST_REPEATED = 10_000
"""What no model has of anything that is built one by one."""
HARMLESS_BLOCKS, HARMLESS_WIDTH, HARMLESS_TOKENS = 1_000, 10**5, 10**7
"""What may be announced whatever the weights hold: it is more than any model has."""
PACKED = 16
"""Numbers that quantized weights may hold in one: 2 bits of 32."""
COUNTS = re.compile(r"(?:^|_)(?:layers?|blocks|depth|labels|experts)$")
"""Keys whose number something is built by, again and again."""
SECONDS_TO_READ, MEGABYTES_TO_READ = 20.0, 4_000

TEXT = frozenset({".json", ".jinja", ".txt", ".model", ".spm", ".tiktoken", ".py"})
FOLDERS = ("chat_templates", "additional_chat_templates")
"""Folders of a checkpoint that are read, too."""
INDICES = {"model.safetensors.index.json": ".safetensors", "pytorch_model.bin.index.json": ".bin"}
"""Index of shards -> how the name of a shard ends."""


class NotACheckpointError(ValueError):
    """What is given as a checkpoint is none; the message says what is missing."""


class UnsoundCheckpointError(NotACheckpointError):
    """A checkpoint whose files no well-meant checkpoint has; the message says which and why."""


def refuse_unsound(folder: Path) -> None:
    """Raise UnsoundCheckpointError for a checkpoint that should not even be read.

    Reads the small files and the headers of weights, and imports no torch.
    """
    _refuse_large(folder)
    _refuse_foreign_files(folder)
    for index in INDICES:
        shard_names(folder, index)
    config = read_config(folder)
    for key, value in _numbers(config):
        if COUNTS.search(key) and value > MOST_REPEATED:
            raise UnsoundCheckpointError(f"config.json says {key}: {value:,}, which nothing has")
    try:
        shape = announced_shape(config)
    except ConfigShapeError:
        return  # its class knows more, and is built within bounds
    _refuse_absurd(shape, _stored(folder))


def refuse_outsiders(folder: Path) -> None:
    """Raise UnsoundCheckpointError where a file leads out of a folder that was given.

    What huggingface_hub has linked into a snapshot is the repository's own.
    """
    home = folder.resolve()
    own = (home, home.parents[1] / "blobs") if home.parent.name == "snapshots" else (home,)
    for path in _files(folder):
        target = path.resolve()
        if not any(target.is_relative_to(place) for place in own):
            raise UnsoundCheckpointError(
                f"{path.name} is a link that leads out of the folder: put the file there instead"
            )
        if path.exists() and not path.is_file():
            raise UnsoundCheckpointError(f"{path.name} is no plain file")


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises UnsoundCheckpointError for what is none, or has no bounds."""
    if path.stat().st_size > LARGEST_FILE:
        raise UnsoundCheckpointError(_too_large(path.name, path.stat().st_size))
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise UnsoundCheckpointError(f"{path.name} is nested too deep") from None
    except ValueError as error:  # no UTF-8, no JSON, a number of thousands of digits
        raise UnsoundCheckpointError(f"{path.name} is no JSON: {error}") from error
    if _depth(written) > DEEPEST:
        raise UnsoundCheckpointError(f"{path.name} is nested too deep")
    return written


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json. Raises UnsoundCheckpointError for what is no model's."""
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise UnsoundCheckpointError("config.json is no model's config: it has no model_type")
    return config


def read_full_config(folder: Path) -> Any:
    """The config as transformers completes it, within bounds. Runs no code of the checkpoint.

    Raises UnsoundCheckpointError where that takes too long or too much, and whatever the config's
    class raises for what is written.
    """
    from transformers import AutoConfig

    try:
        with bounded("config.json", seconds=SECONDS_TO_READ, megabytes=MEGABYTES_TO_READ):
            return AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except BoundsExceededError as error:
        raise UnsoundCheckpointError(f"building what it says: {error}") from error


def shard_names(folder: Path, index: str) -> list[str]:
    """Names of the files that an index lists; none where there is no index.

    Raises UnsoundCheckpointError for one that is no file beside it, of the index's own kind.
    """
    if not (folder / index).is_file():
        return []
    written = read_json(folder / index)
    listed = written.get("weight_map") if isinstance(written, dict) else None
    if not isinstance(listed, dict):
        raise UnsoundCheckpointError(f"{index} lists no files")
    names = {str(name) for name in listed.values()}
    for name in names:
        if not is_plain(name) or not name.endswith(INDICES[index]):
            raise UnsoundCheckpointError(
                f"{index} names {name!r}, which is no {INDICES[index]} file beside it"
            )
    return sorted(names)


def is_plain(name: str) -> bool:
    """Whether a name is that of a file and no way to another place."""
    return name not in ("", ".", "..") and name.isprintable() and not {"/", "\\"} & set(name)


def too_large(names_and_sizes: dict[str, int]) -> str | None:
    """What is wrong with the sizes of files that are read as text; None where nothing is."""
    for name, size in names_and_sizes.items():
        if size > LARGEST_FILE:
            return _too_large(name, size)
    return None


def _files(folder: Path) -> Iterator[Path]:
    """All that is read of a checkpoint: beside the config, and its templates."""
    for place in (folder, *(folder / name for name in FOLDERS)):
        if place.is_dir():
            yield from sorted(path for path in place.iterdir() if not path.is_dir())


def _too_large(name: str, size: int) -> str:
    return (
        f"{name} has {size / 1e6:,.0f} MB; nothing that is read as text has more than "
        f"{LARGEST_FILE / 1e6:,.0f}"
    )


def _refuse_large(folder: Path) -> None:
    texts = (path for path in _files(folder) if path.suffix in TEXT and path.is_file())
    problem = too_large({path.name: path.stat().st_size for path in texts})
    if problem is not None:
        raise UnsoundCheckpointError(problem)


def _refuse_foreign_files(folder: Path) -> None:
    """Raise where the tokenizer's settings name a file of this machine to be read in its place.

    Many name one of the machine they were made on, which is nowhere here and never read.
    """
    path = folder / "tokenizer_config.json"
    written = read_json(path) if path.is_file() else None
    for key, value in written.items() if isinstance(written, dict) else ():
        if key.endswith("_file") and isinstance(value, str) and _exists_elsewhere(folder, value):
            raise UnsoundCheckpointError(
                f"tokenizer_config.json has this machine read another file as its {key}"
            )


def _exists_elsewhere(folder: Path, name: str) -> bool:
    try:
        return not is_plain(name) and any(path.exists() for path in (Path(name), folder / name))
    except (OSError, ValueError):  # a name that no file can have
        return False


def _stored(folder: Path) -> StoredWeights | None:
    """What the weights hold, where their headers can be read."""
    try:
        stored = stored_weights(folder)
    except NoHeaderError:
        return None
    return stored if stored.tensors else None


def _refuse_absurd(shape: AnnouncedShape, stored: StoredWeights | None) -> None:
    """Raise where more is announced than the stored tensors can be.

    Every block has a tensor of its own, and some tensor is as long as the model is wide, and as
    its vocabulary is.
    """
    blocks = shape.blocks + (shape.encoder_blocks or 0) + (shape.vision_blocks or 0)
    tensors = () if stored is None else stored.tensors
    longest = max((max(dims, default=1) for _, dims in tensors), default=1) * PACKED
    bounds = (
        ("blocks", blocks, max(HARMLESS_BLOCKS, len(tensors))),
        ("a hidden width", shape.hidden, max(HARMLESS_WIDTH, longest)),
        ("a vocabulary", shape.vocabulary, max(HARMLESS_TOKENS, longest)),
    )
    for name, announced, bound in bounds:
        if announced > bound:
            raise UnsoundCheckpointError(
                f"config.json announces {name} of {announced:,}: more than its weights can hold"
            )


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """Every whole number of a JSON value, with the key that it stands under."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _numbers(part, str(name))
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part, key)
    elif isinstance(value, int):
        yield key, value


def _depth(value: Any) -> int:
    """How deep a JSON value is nested; told without recursion."""
    depth, level = 0, [value]
    while level:
        nested = [part for part in level if isinstance(part, dict | list)]
        level = [
            child
            for part in nested
            for child in (part.values() if isinstance(part, dict) else part)
            if isinstance(child, dict | list)
        ]
        depth += bool(nested)
    return depth
