"""What the loader is asked for beside the target, and what it hands over."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compat.results.record import Measures
from compat.targets import Checkpoint, Target


@dataclass(frozen=True)
class LoadOptions:
    """How to load, beyond what the mode says. Everything risky is off."""

    attention: str = "sdpa"
    """transformers' attention implementation. sdpa gives way to eager where the class has none."""
    allow_remote_code: bool = False
    """Run code from the checkpoint, and only of models whose entry trusts that very commit."""
    allow_pickle: bool = False
    """Unpickle weights where a checkpoint has no safetensors."""
    repack_4bit_on_cpu: bool = False
    """Leave out the workaround `CANONICAL_4BIT_LAYOUT`."""
    offload_folder: Path | None = None
    """Where the folders of disk offload are made and removed; the system's temporary by default."""


@dataclass(eq=False)
class Loaded:
    """A loaded target. `release` empties it."""

    target: Target
    checkpoint: Checkpoint
    model: Any
    """In eval mode, `requires_grad` as loaded; None once released."""
    tokenizer: Any
    """As stored: no token is added and none is replaced. None once released."""
    measures: Measures
    weights_bytes: int
    """What its weights are stored in, wherever they are."""
    undo: ExitStack = field(default_factory=ExitStack, repr=False)
    """What ends with it: log filters, the offload folder."""


class LoadError(Exception):
    """Base of what the loader itself finds wrong with a checkpoint."""


class IncompleteCheckpointError(LoadError):
    """The checkpoint does not fill the model: keys are missing or have another shape.

    transformers fills such weights with random numbers and says so in the log only.
    """


class MissingTokenizerError(LoadError):
    """The checkpoint folder holds no tokenizer."""


class WrongAutoClassError(LoadError):
    """The registry gives a class under which transformers can't load the checkpoint.

    Told by its name in `compat.runner`: the suite is wrong, not the model.
    """


class UnknownQuantizationError(LoadError):
    """The checkpoint is stored in a quantization that this transformers does not know."""


class NotOffloadedError(LoadError):
    """Offloading was asked for and weights stayed in memory."""
