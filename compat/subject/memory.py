"""What a subject takes of memory: predicted from its config, and measured while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from compat.anatomy.fake_forward import PredictedForward, PredictedMemory, predict_memory
from compat.anatomy.kv_cache import cache_bytes, cache_of
from compat.anatomy.live_storage import LiveStorage
from compat.outcomes import NotApplicable
from compat.subject.inputs import Inputs
from compat.targets import Weights

if TYPE_CHECKING:
    from compat.subject.running import RunningModel

TWIN_LENGTH = 16
"""Tokens of a twin's forward: twice what its sliding windows see."""
LENGTH = 64
"""Tokens of a forward of other weights: a scan in Python takes a second for so many."""

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"


@dataclass(frozen=True)
class MeasuredMemory:
    """Bytes that a forward took."""

    tokens: int
    """Length of the decoder's stream."""
    peak: int
    """Most that was held at a time besides the weights and the inputs."""
    cache: int | None
    """What its output keeps for the next step; None where it keeps nothing."""
    resident: int | None
    """Most resident memory of the whole process meanwhile; None where the system does not tell."""


def forward_inputs(subject: RunningModel) -> dict[str, torch.Tensor]:
    """The arguments of the forward that is counted, on the model's device.

    Token ids alone: from a mask of ones a model that looks at its values makes nothing, and one
    that may not look has to keep it.
    """
    length = TWIN_LENGTH if subject.checkpoint.weights is Weights.TWIN else LENGTH
    inputs: Inputs = subject.text.inputs.first(length)
    ids = {"decoder_input_ids" if subject.has_encoder else "input_ids": inputs.ids}
    if inputs.encoder_ids is not None:
        ids["input_ids"] = inputs.encoder_ids
    return {name: tensor.to(subject.device) for name, tensor in ids.items()}


def predict(subject: RunningModel) -> PredictedMemory:
    """What its checkpoint's config says that it takes. Nothing of the loaded weights is looked at.

    Raises NotApplicable where that can't be known.
    """
    model: Any = subject.model
    config = type(model.config).from_pretrained(
        subject.checkpoint.folder, local_files_only=True, **subject.spec.config_fix
    )
    if getattr(config, "quantization_config", None) is not None:
        raise NotApplicable("what its stored quantization takes of memory is not predicted")
    return predict_memory(
        type(model),
        config,
        dtype=subject.dtype,
        attention=model.config._attn_implementation,
        ids={name: tuple(ids.shape) for name, ids in forward_inputs(subject).items()},
        scheme=subject.mode.traits.quantization,
    )


def forward_of(predicted: PredictedMemory) -> PredictedForward:
    """What a forward is predicted to take. Raises NotApplicable where that depends on data."""
    if isinstance(predicted.forward, str):
        raise NotApplicable(f"a forward can't be predicted: {predicted.forward}")
    return predicted.forward


def measure(subject: RunningModel) -> MeasuredMemory:
    """Run the forward that `predict` predicts, and count."""
    inputs = forward_inputs(subject)
    reset_peak_resident()
    count = _on_gpu if subject.device.type == "cuda" else _on_cpu
    with torch.no_grad():
        peak, output = count(subject, lambda: subject.model(**inputs, use_cache=True), inputs)
    cache = cache_of(output)
    return MeasuredMemory(
        tokens=inputs["decoder_input_ids" if subject.has_encoder else "input_ids"].shape[1],
        peak=peak,
        cache=None if cache is None else cache_bytes(cache),
        resident=peak_resident(),
    )


def _on_cpu(
    subject: RunningModel, run: Callable[[], Any], inputs: dict[str, torch.Tensor]
) -> tuple[int, Any]:
    """Bytes of live tensors: what the allocator is asked for, and not what it takes."""
    known = chain(subject.model.parameters(), subject.model.buffers(), inputs.values())
    with LiveStorage(tensor for tensor in known if not tensor.is_meta) as storage:
        output = run()
    return storage.peak, output


def _on_gpu(
    subject: RunningModel, run: Callable[[], Any], inputs: dict[str, torch.Tensor]
) -> tuple[int, Any]:
    """Bytes that torch's allocator has handed out.

    In a second forward: the first one makes workspaces, which stay.
    """
    device = subject.device
    run()
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    output = run()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before, output


def reset_peak_resident() -> None:
    """Let the system's peak of this process's resident memory begin anew, where it can be."""
    if CLEAR_REFS.exists():
        CLEAR_REFS.write_text(RESET_PEAK)


def peak_resident() -> int | None:
    """Most resident memory of this process since `reset_peak_resident`, in bytes."""
    if not CLEAR_REFS.exists():
        return None
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
