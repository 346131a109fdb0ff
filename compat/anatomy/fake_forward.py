"""What a model will take of memory, from its config alone: built and run on fake tensors.

Fake tensors have shapes and dtypes and no data, so a model of any size is built in a moment and
its forward allocates nothing. What can't be known without data can't be predicted so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
from transformers.initialization import no_init_weights

from compat.anatomy.kv_cache import cache_bytes, cache_of
from compat.anatomy.live_storage import LiveStorage
from compat.anatomy.matrices import Matrix, kept_in_float32, quantizable, quantized_bytes

Shape = tuple[int, ...]

NEEDS_DATA = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
"""By which torch says that an operation can't be run on a fake tensor."""


@dataclass(frozen=True)
class PredictedForward:
    """Bytes that a forward takes besides the weights and its inputs."""

    peak: int
    """Most that is held at a time."""
    cache: int | None
    """What its output keeps for the next step; None where it keeps nothing."""
    peak_unpacking: int = 0
    """Most that is held at a time where each matrix that can be quantized is unpacked, in the dtype
    of the rest, while it is multiplied with."""
    rounding: int = 0
    """Most that CUDA's allocator may add by rounding up."""


@dataclass(frozen=True)
class PredictedMemory:
    """Bytes that a model takes."""

    weights: int
    """Parameters and buffers in the dtype that was asked for, or as they are quantized."""
    forward: PredictedForward | str
    """What a forward takes; where that depends on data, a sentence that says so."""


def predict_memory(
    model_class: Any,
    config: Any,
    *,
    dtype: torch.dtype,
    attention: str,
    ids: Mapping[str, Shape],
    scheme: str | None = None,
) -> PredictedMemory:
    """Build a model of a config on fake tensors, run it, and count.

    `ids` has the shapes, (batch, length), of the forward's arguments that are token ids;
    `scheme` is the bitsandbytes scheme of the linear layers.
    """
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True) as mode:
        inputs = {name: mode.from_tensor(torch.zeros(s).long()) for name, s in ids.items()}
        model = build_fake(model_class, config, dtype, attention, asked=dtype)
        forward = _forward(model, inputs)
        if isinstance(forward, str) and dtype is torch.float16:
            # Some models look for infinities in float16; bfloat16 takes as many bytes.
            forward = _forward(
                build_fake(model_class, config, torch.bfloat16, attention, asked=dtype), inputs
            )
        return PredictedMemory(_weights(model, scheme), forward)


def _forward(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> PredictedForward | str:
    """Run a fake model, with a cache; a sentence where it can't be run without data."""
    known = chain(model.parameters(), model.buffers(), inputs.values())
    packed = [model.get_parameter(matrix.name) for matrix in quantizable(model)]
    try:
        with LiveStorage(known, packed=packed) as storage:
            output = model(**inputs, use_cache=True)
    except NEEDS_DATA as error:
        return f"what it does depends on data ({error})"
    cache = cache_of(output)
    return PredictedForward(
        storage.peak,
        None if cache is None else cache_bytes(cache),
        max(storage.peak, storage.peak_unpacking),
        storage.rounding,
    )


def _weights(model: Any, scheme: str | None) -> int:
    """Bytes of parameters and buffers, each storage once, quantized where a scheme is given."""
    narrow: dict[str, Matrix] = {}
    if scheme is not None:
        narrow = {matrix.name: matrix for matrix in quantizable(model)}
    total = sum(quantized_bytes(matrix, scheme) for matrix in narrow.values())
    seen: set[int] = set()
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        storage = tensor.untyped_storage()
        if name not in narrow and storage._cdata not in seen:
            seen.add(storage._cdata)
            total += storage.nbytes()
    return total


def build_fake(
    model_class: Any, config: Any, dtype: torch.dtype, attention: str, asked: torch.dtype
) -> nn.Module:
    """Build a model in `dtype`, but for what its class keeps in float32 where `asked` is asked.

    For use inside a `FakeTensorMode`.
    """
    with no_init_weights():  # values that nobody sees; some of them can't be drawn without data
        model = model_class._from_config(config, dtype=dtype, attn_implementation=attention)
    for name in kept_in_float32(model, asked):
        path, _, key = name.rpartition(".")
        owner = model.get_submodule(path)
        setattr(owner, key, nn.Parameter(getattr(owner, key).float(), requires_grad=False))
    model.tie_weights()
    built: nn.Module = model.eval()
    return built


def supported_attention(model_class: Any, wanted: str) -> str:
    """Give sdpa up for eager where the model's class says that it does not support it."""
    if wanted == "sdpa" and not getattr(model_class, "_supports_sdpa", False):
        return "eager"
    return wanted
