"""Training an adapter between two frozen models: what both take at once, and the batch for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compat.anatomy.size_facts import NotPredictableError
from compat.fit.batches import Line, largest_batch
from compat.fit.budget import Bill
from compat.fit.facts import Facts
from compat.fit.needs import Amount, Needs, Task
from compat.fit.predict import predict
from compat.fit.table import PairFitRow
from compat.fit.tabulate import Question, line_of
from compat.pairs.sizes import LATENTS, linear_adapter_parameters, resampler_parameters
from compat.registry.pair import PairSpec
from compat.targets import Device, Mode

MODES = (Mode.BF16, Mode.INT8, Mode.NF4)
"""In which two models are kept for training an adapter: resident, and in half precision or less."""
BYTES_PER_PARAMETER = 16
"""Of an adapter: it, its gradient and AdamW's two moments in float32."""
STATE_BYTES = 4
"""What the source has read is handed over in float32."""


@dataclass(frozen=True)
class Adapter:
    """A kind of adapter."""

    name: str
    parameters: Callable[[int, int], int]
    """Source width, target width -> parameters."""
    vectors: Callable[[int], int]
    """Tokens that the source has read -> vectors that the target is given."""


ADAPTERS = (
    Adapter("linear", linear_adapter_parameters, lambda length: length),
    Adapter("resampler", resampler_parameters, lambda length: LATENTS),
)


def pair_rows(
    pair: PairSpec, question: Question, effective: int, facts: Facts
) -> Iterator[PairFitRow]:
    """The rows of a pair, by mode and adapter; none where a model can't be predicted.

    `effective` is how many rows a step of training is to see.
    """
    for mode in MODES:
        if all(mode in question.modes_of(model) for model in pair.models):
            for adapter in ADAPTERS:
                try:
                    yield _row(pair, mode, adapter, question, effective, facts)
                except NotPredictableError:
                    return


def _row(
    pair: PairSpec, mode: Mode, adapter: Adapter, question: Question, effective: int, facts: Facts
) -> PairFitRow:
    length, width = question.workload.length, pair.source.widths.hidden
    parameters = adapter.parameters(width, pair.target.widths.hidden)
    reading = line_of(pair.source, mode, question, facts, Task.FORWARD)
    longer = length + adapter.vectors(length)
    writing = line_of(pair.target, mode, question, facts, Task.BACKWARD, longer)
    weights = [
        predict(model, mode, question.device, question.workload, facts) for model in pair.models
    ]
    held = sum(one.weights_bytes for one in weights) + BYTES_PER_PARAMETER * parameters
    unpacked = max(one.unpacked for one in weights)

    def bill(batch: int) -> Bill:
        states = batch * length * width * STATE_BYTES
        return _bill(
            question.device, mode, held + states, unpacked + _peak(reading, writing, batch)
        )

    most = largest_batch(lambda batch: bill(batch).fits(question.room), effective)
    shown = bill(max(1, most))
    return PairFitRow(
        source=pair.source.id,
        target=pair.target.id,
        mode=mode,
        adapter=adapter.name,
        parameters=parameters,
        gpu_bytes=shown.gpu,
        host_bytes=shown.host,
        batch=most,
        accumulation=math.ceil(effective / most) if most else 0,
    )


def _peak(reading: Line, writing: Line, batch: int) -> int:
    """The source has read before the target begins."""
    return max(reading.at(batch), writing.at(batch))


def _bill(device: Device, mode: Mode, held: int, passing: int) -> Bill:
    amount = Amount(held, passing)
    quantized = mode.traits.quantization is not None
    if device is Device.GPU:
        return Bill.of(Needs(gpu=amount, quantized=quantized))
    return Bill.of(Needs(host=amount, quantized=quantized))
