"""The run that a mode is compared with, computed once a checkpoint and stored under a lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file

from compat.loading.load import LoadOptions, load
from compat.loading.release import release
from compat.registry.spec import ModelSpec
from compat.subject import Reference, Subject
from compat.targets import BARE, Checkpoint, Device, Mode, Target, Weights

VERSIONED = ("torch", "transformers", "tokenizers")


class References:
    """Finds the reference of a target in a folder, or computes and stores it."""

    def __init__(self, folder: Path, options: LoadOptions | None = None) -> None:
        self._folder = folder
        self._options = options
        self.loads = 0
        """How many checkpoints were loaded to compute references."""

    def provider(self, spec: ModelSpec) -> Callable[[Subject], Reference]:
        """What a subject asks for its reference."""
        return lambda subject: self.of(subject.target, spec, subject.checkpoint)

    def of(self, target: Target, spec: ModelSpec, checkpoint: Checkpoint) -> Reference:
        """The reference of a target.

        Raises what loading raises where it has to be computed and can't be loaded.
        """
        wanted = reference_target(target)
        path = self._folder / f"{_key(wanted, checkpoint)}.safetensors"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                if not path.exists():
                    self._compute(wanted, spec, checkpoint, path)
        return _read(path, wanted)

    def _compute(self, target: Target, spec: ModelSpec, checkpoint: Checkpoint, path: Path) -> None:
        loaded = load(target, spec, checkpoint, self._options)
        try:
            self.loads += 1
            subject = Subject(
                model=loaded.model,
                tokenizer=loaded.tokenizer,
                target=target,
                spec=spec,
                checkpoint=checkpoint,
            )
            run = subject.run
            tensors = {f"block.{index}": block for index, block in enumerate(run.blocks)}
            tensors["logits"] = run.logits
            unfinished = path.with_suffix(".tmp")
            save_file({name: t.contiguous().clone() for name, t in tensors.items()}, unfinished)
            unfinished.replace(path)
            del subject, run, tensors
        finally:
            release(loaded)


def reference_target(target: Target) -> Target:
    """Twins are compared with fp32 on the CPU, other weights with bf16 on the same device."""
    if target.weights is Weights.TWIN:
        return replace(target, mode=Mode.FP32, device=Device.CPU, wrapper=BARE)
    return replace(target, mode=Mode.BF16, wrapper=BARE)


def _key(target: Target, checkpoint: Checkpoint) -> str:
    """A file name that changes with the weights, the mode and the libraries."""
    weights = sorted(
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in checkpoint.folder.glob("*.safetensors")
    )
    libraries = [(name, version(name)) for name in VERSIONED]
    facts = (target.id, checkpoint.revision, weights, libraries)
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def _read(path: Path, target: Target) -> Reference:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    blocks = tuple(tensors[f"block.{index}"] for index in range(len(tensors) - 1))
    return Reference(f"{target.mode} on {target.device}", tensors["logits"], blocks)
