"""A target judged before it is loaded: what fits, what does not, and which mode would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TypeAlias

from compat.anatomy.size_facts import NotPredictableError
from compat.fit.budget import Bill, Place
from compat.fit.facts import Facts
from compat.fit.needs import Needs, Task
from compat.fit.predict import predict
from compat.fit.prediction import Prediction
from compat.fit.room import Room, free_room
from compat.fit.workload import SUITE, Workload
from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.outcomes.promise import Promise, promised
from compat.registry.spec import ModelSpec
from compat.results.record import Measures
from compat.targets import Device, Mode, Target, Weights
from compat.targets.capabilities import REAL, makes_sense
from compat.targets.plan import modes_of

PLENTY = 100
"""Where a checkpoint's bytes so many times over are free it fits in every mode, and nothing is
predicted: weights in float32 and three copies of them for training are 16 of them at most."""
PREFERRED = (
    Mode.BF16,
    Mode.FP16,
    Mode.INT8,
    Mode.NF4,
    Mode.AUTO,
    Mode.CPU_OFFLOAD,
    Mode.DISK_OFFLOAD,
)
"""Modes in the order in which they are proposed: those that change least and run fastest first."""
PROPOSED = 2
IN_WORDS = {
    Task.FORWARD: "it ",
    Task.BACKWARD: "a backward ",
    Task.TRAINING: "a gradient of every weight ",
    Task.SECOND_COPY: "a second copy ",
}

Parts: TypeAlias = Sequence[tuple[Target, ModelSpec]]


@dataclass(frozen=True)
class Fitting:
    """All that judging depends on besides the target."""

    facts: Facts = field(default_factory=Facts)
    workload: Workload = SUITE
    room: Callable[[], Room] = free_room

    def require(self, parts: Parts, task: Task = Task.FORWARD) -> Judgement | None:
        """Judge, and raise CannotRun where the task does not fit."""
        judgement = self.judge(parts)
        if judgement is not None:
            judgement.require(task)
        return judgement

    def judge(self, parts: Parts) -> Judgement | None:
        """What the models of a target take together, held against what is free now.

        None for what always fits, and for what can't be predicted: loading will tell.
        """
        real = [(target, spec) for target, spec in parts if target.weights in REAL]
        if not real:
            return None
        target, _ = real[0]
        room = self.room()
        if _plenty(real, room):
            return None
        try:
            predictions = self.predict(real, target.mode)
        except NotPredictableError:
            return None
        return Judgement(self, tuple(real), predictions, room)

    def predict(self, parts: Parts, mode: Mode) -> tuple[Prediction, ...]:
        """What each model would take in a mode. Raises NotPredictableError."""
        return tuple(
            predict(spec, mode, target.device, self.workload, self.facts) for target, spec in parts
        )


@dataclass(frozen=True)
class Judgement:
    """What a target takes and what was free before it was loaded."""

    fitting: Fitting
    parts: tuple[tuple[Target, ModelSpec], ...]
    predictions: tuple[Prediction, ...]
    """One; for a pair, one of each model."""
    room: Room

    @property
    def measures(self) -> Measures:
        """For the record: what a forward is predicted to need, and what was free."""
        bill = bill_of(self.predictions, Task.FORWARD)
        found: Measures = {"needed_host_bytes": bill.host, "free_host_bytes": self.room.host}
        if self.parts[0][0].device is Device.GPU:
            found |= {
                "needed_gpu_bytes": bill.gpu,
                "free_gpu_bytes": next(iter(self.room.gpus), 0),
            }
        return found

    def require(self, task: Task) -> None:
        """Raise CannotRun, with the figures and the nearest mode, where a task does not fit."""
        bill = bill_of(self.predictions, task)
        short = next(bill.short(self.room), None)
        if short is None:
            return
        place, needed, free = short
        raise CannotRun(
            Reason(
                ReasonCode.DOES_NOT_FIT,
                f"{IN_WORDS[task]}needs {gigabytes(needed)} of {place}, {gigabytes(free)} are free",
                self._way_out(task, place),
            )
        )

    def promised(self, task: Task) -> AbstractContextManager[None]:
        """Have memory that runs out inside say that the task was found to fit, and by how much."""
        place, needed, free = bill_of(self.predictions, task).closest(self.room)
        return promised(Promise(place, needed, free))

    def _way_out(self, task: Task, place: Place) -> str:
        larger = f"run on a machine with more {place}"
        fitting = list(self._others(task, fits=True))[:PROPOSED]
        if fitting:
            return f"choose {' or '.join(fitting)}; or {larger}"
        least = next(self._others(task, fits=False), None)
        return larger if least is None else f"{larger}: no mode fits here, {least} takes least"

    def _others(self, task: Task, *, fits: bool) -> Iterator[str]:
        """Modes that fit, in order of preference; or those that do not, the smallest first."""
        found: list[tuple[int, str]] = []
        for mode in PREFERRED:
            if mode is self.parts[0][0].mode or not self._offers(mode):
                continue
            bill = bill_of(self.fitting.predict(self.parts, mode), task)
            if bill.fits(self.room) is fits:
                found.append((bill.gpu or bill.host, f"mode {mode} ({in_words(bill, self.room)})"))
        yield from (text for _, text in (found if fits else sorted(found)))

    def _offers(self, mode: Mode) -> bool:
        """Whether every part can be had in a mode on this device."""
        return all(mode in modes_on(target.device, spec) for target, spec in self.parts)


def modes_on(device: Device, spec: ModelSpec) -> tuple[Mode, ...]:
    """The modes that a real checkpoint is tested in on a device, fp32 first."""
    return tuple(
        mode
        for mode in modes_of(spec, Weights.HUB, device)
        if mode is not Mode.FP4
        and makes_sense(spec, Target(spec.id, spec.slug, Weights.HUB, device, mode))
    )


def bill_of(predictions: Sequence[Prediction], task: Task) -> Bill:
    """What has to be free for a task of this suite's checks with all of these models."""
    needs: Needs = reduce(add, (one.needs(task, read=True) for one in predictions))
    return Bill.of(needs)


def in_words(bill: Bill, room: Room) -> str:
    """A bill in one line: `2.9 GB of GPU memory, 17.0 GB of main memory`."""
    host = bill.host + bill.beyond_gpus(room)
    if not bill.gpu:
        return f"{gigabytes(host)} of {Place.HOST}"
    on_gpus, _ = bill.on_gpus(room)
    return f"{gigabytes(on_gpus)} of {Place.GPU}, {gigabytes(host)} of {Place.HOST}"


def gigabytes(count: int) -> str:
    """Bytes in GB, which are 10^9, and in MB below one."""
    if count < 1e9:
        return f"{count / 1e6:,.1f} MB"
    return f"{count / 1e9:,.1f} GB" if count >= 1e10 else f"{count / 1e9:.2f} GB"


def _plenty(parts: Parts, room: Room) -> bool:
    """Whether there is so much room that nothing has to be predicted."""
    stored = sum(spec.checkpoint.gb * 1e9 for _, spec in parts)
    free = [room.host, *room.gpus[:1]] if parts[0][0].device is Device.GPU else [room.host]
    return all(stored * PLENTY < one for one in free)
