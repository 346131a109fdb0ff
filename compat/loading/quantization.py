"""bitsandbytes: settings of the quantized modes, what was quantized, and a CPU workaround."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

Scheme = Literal["int8", "nf4", "fp4"]


@dataclass(frozen=True)
class Workaround:
    """Something done to a model so that a defect of a library does not show."""

    name: str
    """As it appears in the measures of a load."""
    avoids: tuple[str, ...]
    """The defects, each in one sentence."""
    switched_off_by: str
    """The field of `LoadOptions` that leaves it out."""


CANONICAL_4BIT_LAYOUT = Workaround(
    name="canonical-4bit-layout",
    avoids=(
        "in_features that are not a multiple of 64 fail in the first forward"
        " (shape '[64, 1]' is invalid)",
        "out_features that are not a multiple of 32 fail in the first forward"
        " (N must be divisible by block_n)",
        "the gradient of a soft prompt after the first no-grad forward is wrong without an error",
        "state_dict() after the first no-grad forward changes the logits",
        "dequantizing the weight after the first no-grad forward gives garbage",
    ),
    switched_off_by="repack_4bit_on_cpu",
)
"""Keeps 4-bit weights in the layout that every backend shares.

On CPUs with AVX512_BF16, `bitsandbytes.nn.Linear4bit.forward` repacks its weight in place for a
kernel of its own the first time it runs in eval mode without a gradient (0.50). The checks need
weights that stay what they are, and results that are the same on every CPU.
"""


def bitsandbytes_config(scheme: Scheme, compute_dtype: torch.dtype) -> Any:
    """Build the `BitsAndBytesConfig` of a quantized mode; nothing is left to its defaults."""
    from transformers import BitsAndBytesConfig

    if scheme == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=scheme,
        bnb_4bit_compute_dtype=compute_dtype,
        bnb_4bit_use_double_quant=False,
    )


def quantized_share(model: nn.Module) -> float:
    """Share of the weights, counted as elements, that are really held in 8 or 4 bit.

    Fused experts, `Conv1D` and subclasses of `nn.Linear` are left in full precision by
    transformers' replacement without a word; only counting tells.
    """
    quantized = {id(layer.weight): out * width for _, layer, (out, width) in _layers(model)}
    total = sum(quantized.get(id(parameter), parameter.numel()) for parameter in model.parameters())
    return sum(quantized.values()) / total if total else 0.0


def quantized_shapes(model: nn.Module) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Yield name, stored shape and expected shape of every quantized weight, both out x in.

    transformers does not compare shapes of weights that it quantizes on loading (5.23): a
    checkpoint of the wrong size is refused in float modes and passes in quantized ones.
    """
    for name, layer, stored in _layers(model):
        yield f"{name}.weight", stored, (layer.out_features, layer.in_features)


def keep_canonical_layout(model: nn.Module) -> Workaround | None:
    """Apply `CANONICAL_4BIT_LAYOUT` before the first forward.

    Returns the workaround where there was something to work around: None on a CPU that would not
    have repacked, or without 4-bit layers.
    """
    applied = False
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010 - unknown to nn.Module
            applied = True
    return CANONICAL_4BIT_LAYOUT if applied else None


def _layers(model: nn.Module) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Yield the name, the module and the stored shape of every quantized linear layer."""
    bitsandbytes = sys.modules.get("bitsandbytes")
    if bitsandbytes is None:  # importing it takes seconds, and none of its layers can be there
        return
    for name, module in model.named_modules():
        if isinstance(module, bitsandbytes.nn.Linear8bitLt):
            if module.weight.dtype == torch.int8:
                yield name, module, tuple(module.weight.shape)
        elif isinstance(module, bitsandbytes.nn.Linear4bit):
            state = getattr(module.weight, "quant_state", None)  # a missing weight has none
            if state is not None:
                yield name, module, tuple(state.shape)
