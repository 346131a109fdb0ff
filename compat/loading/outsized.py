"""A model that its own weights can't fill, by orders of magnitude, found before it is allocated.

transformers allocates whatever the checkpoint does not fill, and says afterwards what that was.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from compat.outcomes.bounds import bounded
from compat.weights.sound import PACKED, UnsoundCheckpointError

SPARE = 10**8
"""Numbers that any checkpoint may lack: what is missing of them is named where it is loaded."""
SECONDS_TO_BUILD, MEGABYTES_TO_BUILD = 120.0, 8_000


def refuse_outsized(auto_class: Any, config: Any, folder: Path, trust: bool) -> None:
    """Raise UnsoundCheckpointError where the config builds far more than the weights can fill.

    Builds it without weights, within bounds of time and memory; raises BoundsExceededError.
    """
    weights = (path for kind in ("*.safetensors", "*.bin") for path in folder.glob(kind))
    stored = sum(path.stat().st_size for path in weights)
    numbers = _numbers_in(auto_class, deepcopy(config), trust)
    quantized = getattr(config, "quantization_config", None) is not None
    most = stored * (PACKED // 4 if quantized else 1) + SPARE
    if numbers > most:
        raise UnsoundCheckpointError(
            f"config.json builds {numbers:,} parameters, and the weights have {stored:,} bytes"
        )


def _numbers_in(auto_class: Any, config: Any, trust: bool) -> int:
    """Parameters and buffers of the model, tied ones once; 0 where it can't be built so."""
    with (
        bounded("building the model", seconds=SECONDS_TO_BUILD, megabytes=MEGABYTES_TO_BUILD),
        torch.device("meta"),
    ):
        try:
            model = auto_class.from_config(config, trust_remote_code=trust)
        except MemoryError:
            raise
        except Exception:  # what can't be built fails, with its own error, where it is loaded
            return 0
    return sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
