"""Which files of a repository a checkpoint needs, told by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

from compat.weights.sound import is_plain

SMALL_FILES = ("*.json", "*.model", "*.spm", "*.txt", "*.jinja", "*.tiktoken")
"""Config, tokenizer, chat template, index of shards."""
TEMPLATES = ("chat_templates/*.jinja", "additional_chat_templates/*.jinja")
CODE = ("*.py",)
ADAPTER = "adapter_config.json"
"""transformers would load the adapter onto the model, or another repository's model below it."""
NOT_NEEDED = (
    ADAPTER,
    "*.bin.index.json",
    "*.h5.index.json",
    "*.msgpack.index.json",
    "model.*.index.json",
)
"""Lists of shards in formats that are not loaded, and of variants such as `model.fp16`."""

ONE_FILE = "model.safetensors"
SHARD_INDEX = "model.safetensors.index.json"
FOREIGN_WEIGHTS = re.compile(r"consolidated|adapter_|model\.(?!safetensors$)")
"""The same weights once more, for other libraries or in another precision; adapters."""

PICKLES = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
PICKLE_INDEX = "pytorch_model.bin.index.json"


@dataclass(frozen=True)
class NeededFiles:
    """The names of what a checkpoint is loaded from."""

    small: tuple[str, ...]
    """All but the weights."""
    weights: tuple[str, ...]
    pickled: bool = False
    """Whether there are no weights but pickled ones."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.small, *self.weights)


def needed_files(listing: Iterable[str], *, code: bool = False) -> NeededFiles:
    """Choose from the paths of a repository.

    Each weight is wanted once: no `original/`, no other format beside safetensors, no variant;
    `model.safetensors` goes before shards, as it does in transformers. Python files only with
    `code`.
    """
    paths = sorted(listing)
    root = [path for path in paths if is_plain(path)]
    weights = _safetensors(root)
    pickles = tuple(path for path in root if PICKLES.fullmatch(path))
    pickled = not weights and bool(pickles)
    small = tuple(path for path in paths if _is_small(path, code, pickled))
    return NeededFiles(small, weights or pickles, pickled)


def code_files(listing: Iterable[str]) -> list[str]:
    """The Python files beside the weights: what can be imported."""
    return sorted(path for path in listing if "/" not in path and path.endswith(".py"))


def total(names: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Bytes of the named files; what the listing gives no size for counts nothing."""
    return sum(sizes.get(name) or 0 for name in names)


def _safetensors(root: list[str]) -> tuple[str, ...]:
    if ONE_FILE in root:
        return (ONE_FILE,)
    if SHARD_INDEX not in root:
        return ()
    return tuple(
        path for path in root if path.endswith(".safetensors") and not FOREIGN_WEIGHTS.match(path)
    )


def _is_small(path: str, code: bool, pickled: bool) -> bool:
    if any(fnmatch(path, pattern) for pattern in TEMPLATES):
        return path.count("/") == 1 and is_plain(path.partition("/")[2])
    if not is_plain(path):
        return False
    if path == SHARD_INDEX or (pickled and path == PICKLE_INDEX):
        return True
    if any(fnmatch(path, pattern) for pattern in NOT_NEEDED):
        return False
    patterns = (*SMALL_FILES, *CODE) if code else SMALL_FILES
    return any(fnmatch(path, pattern) for pattern in patterns)
