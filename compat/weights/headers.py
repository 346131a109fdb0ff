"""What a safetensors file says of its tensors, read from its first bytes alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LENGTH_BYTES = 8
METADATA = "__metadata__"


DTYPE_NAMES: dict[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I8": "int8",
    "U8": "uint8",
}
"""safetensors' names of dtypes, as torch spells them."""


@dataclass(frozen=True)
class StoredWeights:
    """What the weights of a checkpoint are stored as."""

    tensors: tuple[tuple[str, tuple[int, ...]], ...]
    """safetensors' name of the dtype, and the shape, of every tensor."""
    size: int
    """Bytes of the files."""

    @property
    def elements(self) -> int:
        """Numbers in all tensors: the parameters, where nothing is packed."""
        return sum(math.prod(shape) for _, shape in self.tensors)

    @property
    def dtype(self) -> str:
        """The dtype that most tensors have, as torch spells it."""
        names = [dtype for dtype, _ in self.tensors]
        most = max(sorted(set(names)), key=names.count)
        return DTYPE_NAMES.get(most, most)


LONGEST_HEADER = 100_000_000
"""Bytes; safetensors itself reads no longer one."""


class NoHeaderError(ValueError):
    """A file that does not begin as a safetensors file does, or lies about what follows."""


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """Tensor name -> its `dtype`, `shape` and `data_offsets`. Raises NoHeaderError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > min(size, LONGEST_HEADER):
            raise NoHeaderError(f"{path} is no safetensors file")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:  # no text, no JSON, or nested without end
            raise NoHeaderError(f"{path} is no safetensors file") from error
    if not isinstance(header, dict):
        raise NoHeaderError(f"{path} is no safetensors file")
    tensors = {name: tensor for name, tensor in header.items() if name != METADATA}
    for name, tensor in tensors.items():
        if not _is_tensor(tensor, size - LENGTH_BYTES - length):
            raise NoHeaderError(f"{path}: the header lies about tensor {name!r}")
    return tensors


def _is_tensor(said: Any, size: int) -> bool:
    """Whether an entry of a header is that of a tensor which lies in `size` bytes of data."""
    if not isinstance(said, dict) or not isinstance(said.get("dtype"), str):
        return False
    lists = (said.get("shape"), said.get("data_offsets"))
    for numbers in lists:
        if not isinstance(numbers, list) or not all(type(one) is int for one in numbers):
            return False
    shape, offsets = said["shape"], said["data_offsets"]
    if min((*shape, *offsets), default=0) < 0 or len(offsets) != 2:
        return False
    begin, end = offsets
    # Two numbers to the byte are the most that any dtype of the format packs.
    return bool(begin <= end <= size and math.prod(shape) <= 2 * (end - begin))


def stored_weights(folder: Path) -> StoredWeights:
    """Read the headers of a folder's weights. Raises NoHeaderError."""
    files = sorted(folder.glob("*.safetensors"))
    tensors = [
        (tensor["dtype"], tuple(tensor["shape"]))
        for path in files
        for tensor in read_header(path).values()
    ]
    return StoredWeights(tuple(tensors), sum(path.stat().st_size for path in files))


def holds_exactly(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a safetensors file holds tensors of these names and shapes, to its last byte."""
    try:
        header = read_header(path)
    except (NoHeaderError, OSError):
        return False
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    found = {name: tuple(tensor["shape"]) for name, tensor in header.items()}
    return found == dict(shapes) and path.stat().st_size == LENGTH_BYTES + length + end
