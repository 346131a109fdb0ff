"""What a safetensors file says of its tensors, read from its first bytes alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LENGTH_BYTES = 8
METADATA = "__metadata__"


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
