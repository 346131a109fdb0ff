"""The weight matrices of a model: which are quantized, and what they should weigh."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn

from compat.anatomy.attention import is_linear

BYTES_PER_ELEMENT: dict[str, float] = {
    "int8": 1.0,
    "nf4": 0.5 + 4 / 64,
    "fp4": 0.5 + 4 / 64,
}
"""Codes, and for 4 bit one float32 scale a block of 64. int8 adds 4 bytes an output row."""

CODE_BOOK_BYTES = 64
"""The 16 float32 values that each 4-bit layer keeps."""


@dataclass(frozen=True)
class Matrix:
    """A weight matrix, or a stack of them where experts are fused."""

    name: str
    owner: str
    """Class name of the module that holds it."""
    elements: int
    rows: int
    """Output rows where it is a linear layer's."""
    quantized: bool


def matrices(module: nn.Module) -> Iterator[Matrix]:
    """The weights of linear layers and of experts below `module`, as they are logically.

    A packed 4-bit weight counts as the elements it stands for.
    """
    for path, owner in module.named_modules():
        expert = "expert" in path.lower()
        for key, parameter in owner.named_parameters(recurse=False):
            if not ((is_linear(owner) and key == "weight") or (expert and parameter.dim() >= 2)):
                continue
            elements, rows = parameter.numel(), parameter.shape[0]
            quantized = not parameter.is_floating_point()
            if quantized:
                width, rows = int(owner.in_features), int(owner.out_features)
                elements = width * rows
            yield Matrix(f"{path}.{key}", type(owner).__name__, elements, rows, quantized)


def predicted_bytes(model: nn.Module, element_size: int, scheme: str | None) -> int:
    """Bytes that a model's weights should take.

    `element_size` is that of the dtype asked for, but for what the model's own class keeps in
    float32; quantized matrices take what their scheme's codes and scales take. Tied weights count
    once.
    """
    kept = kept_in_float32(model)
    quantized = [matrix for matrix in matrices(model) if matrix.quantized]
    total = sum(quantized_bytes(matrix, scheme) for matrix in quantized)
    # Offloaded weights have no storage by which tied ones could be told: their names do it.
    tied: dict[str, str] = getattr(model, "all_tied_weights_keys", {})
    seen: set[int] = set()
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        key = id(tensor) if tensor.is_meta else tensor.data_ptr()
        if key in seen or name in tied or not tensor.is_floating_point():
            continue
        seen.add(key)
        # Whether a kept weight is widened depends on the dtype: its own size says.
        total += tensor.numel() * (tensor.element_size() if name in kept else element_size)
    return total


def stored_scheme(model: nn.Module) -> str | None:
    """The bitsandbytes scheme that a checkpoint says its own weights are stored in; None for none.

    With scales that are quantized once more it is called `nf4-double` or `fp4-double`.
    """
    stored = getattr(getattr(model, "config", None), "quantization_config", None)
    if getattr(stored, "load_in_8bit", False):
        return "int8"
    if not getattr(stored, "load_in_4bit", False):
        return None
    double = "-double" if getattr(stored, "bnb_4bit_use_double_quant", False) else ""
    return f"{getattr(stored, 'bnb_4bit_quant_type', 'fp4')}{double}"


def quantizable(model: Any) -> Iterator[Matrix]:
    """The matrices that transformers replaces by bitsandbytes' layers when it loads quantized.

    By its own rule: modules whose class is exactly `nn.Linear`, and `Conv1D`, but for the head,
    for tied weights and for what the model's class keeps in float32.
    """
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers.base import HfQuantizer
    from transformers.quantizers.quantizers_utils import should_convert_module

    kept = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
    for path, module in model.named_modules():
        if isinstance(module, Conv1D):
            width, rows = module.weight.shape
        elif type(module) is nn.Linear:
            rows, width = module.weight.shape
        else:
            continue
        if should_convert_module(path, kept):
            name = type(module).__name__
            yield Matrix(f"{path}.weight", name, rows * width, rows, quantized=True)


def quantized_bytes(matrix: Matrix, scheme: str | None) -> int:
    """Bytes of a matrix in 8 or 4 bit: its codes, scales and code book."""
    size = math.ceil(matrix.elements * BYTES_PER_ELEMENT[scheme or "int8"])
    return size + (4 * matrix.rows if scheme == "int8" else CODE_BOOK_BYTES)


def kept_in_float32(model: nn.Module, asked: torch.dtype | None = None) -> frozenset[str]:
    """Names of the weights that the model's own class keeps in float32, whatever is asked.

    transformers 5 names the modules in `_keep_in_fp32_modules`, which binds in float16 only, and
    `_keep_in_fp32_modules_strict`, which always binds. With the dtype that is `asked` for, only
    those that are kept from it.
    """
    attributes = ["_keep_in_fp32_modules_strict"]
    if asked in (None, torch.float16):
        attributes.append("_keep_in_fp32_modules")
    patterns = {
        pattern for attribute in attributes for pattern in getattr(model, attribute, None) or ()
    }
    return frozenset(
        name for name, _ in model.named_parameters() if any(pattern in name for pattern in patterns)
    )
