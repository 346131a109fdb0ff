"""From a registry and what is free to the table of what fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from compat.anatomy.size_facts import NotPredictableError
from compat.fit.batches import Line, largest_batch
from compat.fit.budget import Bill
from compat.fit.facts import VERSIONED, Build, Facts
from compat.fit.judge import modes_on
from compat.fit.needs import Task
from compat.fit.predict import dtype_of, predict, run_of
from compat.fit.prediction import Prediction
from compat.fit.room import Room
from compat.fit.table import FitRow, FitTable, PairFitRow, UnpredictedRow
from compat.fit.workload import Workload
from compat.registry.spec import ModelSpec
from compat.targets import Device, Mode


@dataclass(frozen=True)
class Question:
    """What is asked of the models."""

    device: Device
    room: Room
    workload: Workload = field(default_factory=Workload)
    modes: frozenset[Mode] | None = None
    """None: every mode of the device."""

    def modes_of(self, spec: ModelSpec) -> tuple[Mode, ...]:
        """The modes asked for that the model can be loaded in."""
        offered = modes_on(self.device, spec)
        return tuple(mode for mode in offered if self.modes is None or mode in self.modes)


def rows_of(
    spec: ModelSpec, question: Question, facts: Facts
) -> tuple[FitRow, ...] | UnpredictedRow:
    """The rows of one model, or why it has none."""
    try:
        return tuple(_row(spec, mode, question, facts) for mode in question.modes_of(spec))
    except NotPredictableError as error:
        return UnpredictedRow(model=spec.id, slug=spec.slug, why=str(error))


def table_of(
    question: Question,
    rows: Iterable[tuple[FitRow, ...] | UnpredictedRow],
    pairs: Iterable[PairFitRow] = (),
) -> FitTable:
    """Everything in one value."""
    found = list(rows)
    return FitTable(
        device=question.device,
        gpus=question.room.gpus,
        host=question.room.host,
        disk=question.room.disk,
        batch=question.workload.batch,
        length=question.workload.length,
        attention=question.workload.attention,
        packages={name: version(name) for name in VERSIONED},
        rows=tuple(_predicted(found)),
        pairs=tuple(pairs),
        unpredicted=tuple(one for one in found if isinstance(one, UnpredictedRow)),
    )


def _predicted(found: Sequence[tuple[FitRow, ...] | UnpredictedRow]) -> Iterator[FitRow]:
    for rows in found:
        if not isinstance(rows, UnpredictedRow):
            yield from rows


def _row(spec: ModelSpec, mode: Mode, question: Question, facts: Facts) -> FitRow:
    room, workload = question.room, question.workload
    prediction = predict(spec, mode, question.device, workload, facts)
    bill, backward = (Bill.of(prediction.needs(task)) for task in (Task.FORWARD, Task.BACKWARD))
    return FitRow(
        model=spec.id,
        slug=spec.slug,
        family=spec.family,
        mode=mode,
        weights=dict(prediction.weights),
        weights_bytes=prediction.weights_bytes,
        cache_bytes=prediction.cache,
        forward_bytes=prediction.forward,
        backward_bytes=prediction.backward,
        gpu_bytes=bill.gpu,
        host_bytes=bill.host + bill.beyond_gpus(room),
        disk_bytes=bill.disk,
        fits=bill.fits(room),
        fits_backward=backward.fits(room),
        largest_batch=_largest(prediction, spec, question, facts, Task.FORWARD),
        largest_backward_batch=_largest(prediction, spec, question, facts, Task.BACKWARD),
    )


def _largest(
    prediction: Prediction, spec: ModelSpec, question: Question, facts: Facts, task: Task
) -> int:
    """The largest batch for a task; 0 without a run where the weights alone are too much."""
    bare = replace(prediction, forward=0, backward=0)
    if not Bill.of(bare.needs(task)).fits(question.room):
        return 0
    line = line_of(spec, prediction.mode, question, facts, task)

    def fits(batch: int) -> bool:
        peak = line.at(batch)
        larger = replace(prediction, forward=peak, backward=peak)
        return Bill.of(larger.needs(task)).fits(question.room)

    return largest_batch(fits)


def line_of(
    spec: ModelSpec, mode: Mode, question: Question, facts: Facts, task: Task, length: int = 0
) -> Line:
    """What a task takes by the rows of its batch, at the question's length or another."""
    build = Build(spec, dtype_of(mode, question.device, spec), question.workload.attention)
    build = run_of(build, facts)
    run = facts.forward if task is Task.FORWARD else facts.backward
    return Line.through(lambda batch: run(build, batch, length or question.workload.length).peak)
