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


class NoHeaderError(ValueError):
    """A file that does not begin as a safetensors file does."""


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """Tensor name -> its `dtype`, `shape` and `data_offsets`. Raises NoHeaderError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > path.stat().st_size:
            raise NoHeaderError(f"{path} is no safetensors file")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:  # no text, or no JSON
            raise NoHeaderError(f"{path} is no safetensors file") from error
    if not isinstance(header, dict):
        raise NoHeaderError(f"{path} is no safetensors file")
    return {name: tensor for name, tensor in header.items() if name != METADATA}


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
