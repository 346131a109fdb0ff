"""Memory: what the config alone predicts is what loading and running take.

The predictions are those by which it is judged, before anything is downloaded, what fits where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check
from compat.targets import Mode

if TYPE_CHECKING:
    from compat.subject import Subject

QUANTIZED = frozenset({Mode.INT8, Mode.NF4, Mode.FP4})
OFFLOADED = frozenset({Mode.DISK_OFFLOAD, Mode.CPU_OFFLOAD, Mode.AUTO})
RESIDENT = frozenset(Mode) - OFFLOADED - {Mode.META}
"""Offloaded weights come and go during a forward, mapped from their file or held by accelerate:
how much of them is in memory at its peak is the system's choice."""

WEIGHTS_MARGIN = 0.005
"""Every twin is met exactly; room for buffers that a checkpoint's own code adds."""
PEAK_MARGIN = 0.05
QUANTIZED_PEAK_MARGIN = 0.08
"""bitsandbytes' int8 layers pick out columns of large activations: how many, the data say."""


@check(Area.MEMORY)
def weights_as_predicted(subject: Subject) -> None:
    """The loaded weights take the bytes that the config alone says, before anything is loaded."""
    predicted = subject.predicted_memory.weights
    measured = subject.load_measures["weights_bytes"]
    subject.measure("predicted_weights_bytes", predicted)
    subject.measure("weights_bytes", measured)
    assert isinstance(measured, int), "the loader measured no weights"
    assert abs(predicted - measured) <= WEIGHTS_MARGIN * measured, (
        f"weights take {measured} bytes, {predicted} predicted from the config"
    )


@check(Area.MEMORY)
def cache_as_predicted(subject: Subject) -> None:
    """The cache keeps exactly the bytes that the config says, of heads, windows and states."""
    from compat.outcomes import NotApplicable

    predicted, measured = subject.predicted_forward.cache, subject.measured_memory.cache
    if predicted is None and measured is None:
        raise NotApplicable("the model keeps nothing between steps")
    subject.measure("predicted_kv_cache_bytes", predicted)
    subject.measure("kv_cache_bytes", measured)
    subject.measure("kv_cache_tokens", subject.measured_memory.tokens)
    assert measured == predicted, (
        f"after {subject.measured_memory.tokens} tokens the cache keeps {measured} bytes, "
        f"{predicted} predicted from the config"
    )


@check(Area.MEMORY, modes=RESIDENT)
def peak_as_predicted(subject: Subject) -> None:
    """A forward takes no more and no less at its peak than the config says, weights aside."""
    expected = _predicted_peak(subject)
    measured = subject.measured_memory.peak
    subject.measure("predicted_peak_bytes", expected)
    subject.measure("peak_bytes", measured)
    subject.measure("peak_error", measured / expected - 1)
    subject.measure("peak_rss_bytes", subject.measured_memory.resident)
    margin = QUANTIZED_PEAK_MARGIN if subject.mode in QUANTIZED else PEAK_MARGIN
    slack = subject.predicted_forward.rounding if subject.device.type == "cuda" else 0
    assert abs(measured - expected) <= margin * expected + slack, (
        f"a forward takes {measured} bytes at its peak, {expected} predicted from the config"
    )


def _predicted_peak(subject: Subject) -> int:
    """The peak in float; on a GPU a 4-bit layer unpacks its matrix, while it runs, besides."""
    unpacks = subject.mode in {Mode.NF4, Mode.FP4} and subject.device.type == "cuda"
    predicted = subject.predicted_forward
    return predicted.peak_unpacking if unpacks else predicted.peak
