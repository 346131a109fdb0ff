"""The run that a mode is compared with: computed once a checkpoint, whoever asks first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import compat.loading
import compat.subject
from compat.fit.judge import Fitting
from compat.loading.load import LoadOptions, load
from compat.loading.memory import return_freed_memory
from compat.loading.reference_store import ReferenceStore
from compat.loading.release import forget_exceptions, release
from compat.outcomes import CannotRun, NotApplicable, Reason, ReasonCode
from compat.outcomes.triage import triage
from compat.registry.spec import ModelSpec
from compat.subject import Reference, StreamRun, Subject
from compat.subject.text import UNTAUGHT
from compat.targets import BARE, Checkpoint, Device, Mode, Target, Weights
from compat.weights.folder import PICKLES
from compat.weights.twin.key import cpu

if TYPE_CHECKING:
    from compat.loading.reference_store import Tensors

VERSIONED = ("torch", "transformers", "tokenizers")
WEIGHTS = ("*.safetensors", *PICKLES)


@dataclass(frozen=True)
class References:
    """Finds the reference of a target in a store, or computes it and puts it there."""

    store: ReferenceStore
    options: LoadOptions
    fitting: Fitting | None = None
    """What judges whether a reference fits beside what is loaded."""

    def provider(self, spec: ModelSpec) -> Callable[[Subject], Reference]:
        """What a subject asks for its reference: tried once, and found missing for all checks."""
        missing: list[Reason] = []

        def find(subject: Subject) -> Reference:
            try:
                if not missing:
                    return self.of(subject.target, spec, subject.checkpoint)
            except CannotRun as cannot:
                missing.append(cannot.reason)
            raise CannotRun(missing[0])

        return find

    def of(self, target: Target, spec: ModelSpec, checkpoint: Checkpoint) -> Reference:
        """The reference of a target, on disk or computed now.

        Raises NotApplicable where the target is a reference itself, CannotRun where its reference
        can't be run here, and what loading raises where that is no reason but a failure.
        """
        wanted = reference_target(target)
        name = f"{wanted.mode} on {wanted.device}"
        if wanted == target:
            raise NotApplicable(f"{name} is what the other modes are compared with")
        failure: Exception | None = None
        try:
            found, computed = self.store.read_or_make(
                key_of(wanted, spec, checkpoint, self.options),
                lambda: self._compute(wanted, spec, checkpoint),
            )
        except Exception as error:  # told apart below, when the frames that hold the model are gone
            failure = error
        if failure is None:
            return Reference(name, found["logits"], _blocks(found), loads=int(computed))
        reason = triage(failure)
        if reason is None:
            raise failure
        forget_exceptions([failure])
        return_freed_memory()
        raise CannotRun(_no_reference(name, reason))

    def keep(self, subject: Subject) -> None:
        """Store what a target has run, where other modes are compared with it: that spares a load.

        For real checkpoints alone: loading a twin takes less than asking.
        """
        run = subject.__dict__.get("run")  # only what some check has asked for already
        if run is None or not is_reference(subject.target):
            return
        key = key_of(subject.target, subject.spec, subject.checkpoint, self.options)
        with suppress(OSError):  # a full disk, say: it is computed when it is asked for
            self.store.read_or_make(key, lambda: _tensors(run))

    def _compute(self, target: Target, spec: ModelSpec, checkpoint: Checkpoint) -> Tensors:
        if self.fitting is not None:
            self.fitting.require(((target, spec),))
        loaded = load(target, spec, checkpoint, self.options)
        try:
            subject = Subject(
                model=loaded.model,
                tokenizer=loaded.tokenizer,
                target=target,
                spec=spec,
                checkpoint=checkpoint,
            )
            tensors = _tensors(subject.run)
            del subject
        finally:
            release(loaded)
        return tensors


def reference_target(target: Target) -> Target:
    """What a target is compared with.

    Offloaded weights are compared with the same ones in memory; others with float32 on the CPU
    where they are a twin's, else with bfloat16 on the same device.
    """
    match target.mode:
        case Mode.DISK_OFFLOAD:
            return replace(target, mode=Mode.FP32, wrapper=BARE)
        case Mode.CPU_OFFLOAD | Mode.AUTO:
            return replace(target, mode=Mode.BF16, wrapper=BARE)
    if target.weights is Weights.TWIN:
        return replace(target, mode=Mode.FP32, device=Device.CPU, wrapper=BARE)
    return replace(target, mode=Mode.BF16, wrapper=BARE)


def is_reference(target: Target) -> bool:
    """Whether other modes of a real checkpoint are compared with this target."""
    resident = target.mode in (Mode.FP32, Mode.BF16)
    return resident and target.wrapper == BARE and target.weights is not Weights.TWIN


def key_of(target: Target, spec: ModelSpec, checkpoint: Checkpoint, options: LoadOptions) -> str:
    """A hash of all that a reference depends on.

    The content of the checkpoint, how it is loaded, on what, with which libraries, what it reads,
    and the source of this suite that runs it. Weights are told by their name in the hub's cache,
    which is a hash, or else by size and time: reading them takes as long as loading them.
    """
    facts = (
        tuple(map(_identity, sorted(checkpoint.folder.iterdir()))),
        (target.mode, target.device, _processor(target.device)),
        (spec.model_class, sorted(spec.config_fix.items())),
        options.attention,
        checkpoint.lesson or UNTAUGHT,
        [(name, version(name)) for name in VERSIONED],
        _source(),
    )
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def _identity(file: Path) -> tuple[object, ...]:
    if not file.is_file():
        return (file.name,)
    if any(file.match(pattern) for pattern in WEIGHTS):
        if file.is_symlink():
            return (file.name, file.resolve().name)
        status = file.stat()
        return (file.name, status.st_size, status.st_mtime_ns)
    return (file.name, hashlib.blake2b(file.read_bytes()).hexdigest())


def _processor(device: Device) -> str:
    return cpu() if device is Device.CPU else torch.cuda.get_device_name(0)


@cache
def _source() -> str:
    """A hash of the code that loads a model and runs it."""
    digest = hashlib.blake2b(digest_size=16)
    for package in (compat.loading, compat.subject):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _tensors(run: StreamRun) -> Tensors:
    tensors = {f"block.{index}": block for index, block in enumerate(run.blocks)}
    return tensors | {"logits": run.logits}


def _blocks(tensors: Tensors) -> tuple[torch.Tensor, ...]:
    return tuple(tensors[f"block.{index}"] for index in range(len(tensors) - 1))


def _no_reference(name: str, reason: Reason) -> Reason:
    return Reason(
        ReasonCode.NO_REFERENCE,
        f"no reference here: the model can't be run in {name} to compare with: {reason.text}",
        reason.action,
    )
