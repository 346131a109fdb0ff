"""Attention implementations and the weights that they report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from compat.anatomy.anatomy import Block, text_config
from compat.outcomes import NotApplicable
from compat.subject.inputs import Inputs

if TYPE_CHECKING:
    from compat.subject.running import RunningModel

DECODED = 12
"""Tokens in the decoder of an encoder-decoder."""


@dataclass(frozen=True)
class ReportedAttention:
    """What one forward over a padded batch reports with `output_attentions`."""

    inputs: Inputs
    logits: torch.Tensor
    """(batch, length, vocabulary), float32, on the CPU."""
    weights: tuple[torch.Tensor, ...]
    """Of each decoder block that attends, (batch, heads, queries, keys), float32, on the CPU."""
    cross: tuple[torch.Tensor, ...]
    """The same of the attention to an encoder; empty without one."""


@contextmanager
def implementation(model: Any, name: str) -> Iterator[None]:
    """Let a model attend by another implementation inside, by its own `set_attn_implementation`.

    Raises NotApplicable where it keeps the one that it was loaded with.
    """
    own = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        if model.config._attn_implementation != name:
            raise NotApplicable(f"the model's attention stays {own} once it is loaded")
        yield
    finally:
        model.set_attn_implementation(own)


def implementations(model: Any) -> dict[str, str]:
    """The implementation of each part of a model that has a config, by its path."""
    return {
        path: str(module.config._attn_implementation)
        for path, module in model.named_modules()
        if hasattr(getattr(module, "config", None), "_attn_implementation")
    }


def other_implementations(model: Any, device: torch.device) -> list[str]:
    """The implementations that a model's class supports here, beside the one it has.

    flex attention has to be compiled and runs for seconds on a CPU: there it is left out.
    """
    gpu = device.type == "cuda"
    narrow = model.dtype in (torch.float16, torch.bfloat16)
    flash = gpu and narrow and find_spec("flash_attn") is not None
    here = {
        "eager": True,
        "sdpa": bool(getattr(model, "_supports_sdpa", False)),
        "flex_attention": gpu and bool(getattr(model, "_supports_flex_attn", False)),
        "flash_attention_2": flash and bool(getattr(model, "_supports_flash_attn", False)),
    }
    return [name for name, runs in here.items() if runs and name != _own(model)]


def _own(model: Any) -> str:
    return str(model.config._attn_implementation)


def read_attention(subject: RunningModel) -> ReportedAttention:
    """Run a padded batch and take the attention weights, eagerly where that can be chosen.

    Raises NotApplicable where the model reports none.
    """
    rows = subject.prompts()
    if subject.has_encoder:
        decoded = subject.text.inputs.first(DECODED)
        rows = [replace(row, ids=decoded.ids, mask=decoded.mask) for row in rows]
    inputs = subject.batch(rows)
    try:
        with implementation(subject.model, "eager"):
            output = subject.forward(inputs, output_attentions=True)
    except NotApplicable:
        output = subject.forward(inputs, output_attentions=True)
    decoder = getattr(output, "decoder_attentions", None) or getattr(output, "attentions", None)
    if not decoder:
        raise NotApplicable("the model reports no attention weights")
    return ReportedAttention(
        inputs,
        output.logits.float().cpu(),
        _on_cpu(decoder),
        _on_cpu(getattr(output, "cross_attentions", None) or ()),
    )


def _on_cpu(weights: tuple[torch.Tensor | None, ...]) -> tuple[torch.Tensor, ...]:
    """Blocks without attention report nothing."""
    return tuple(each.float().cpu() for each in weights if each is not None)


def has_sinks(attention: nn.Module) -> bool:
    """Whether heads give weight to a sink, a logit of their own beside those of the keys.

    What they give to the text then sums to less than one.
    """
    return any("sink" in name for name, _ in attention.named_parameters(recurse=False))


def window_of(model: nn.Module, block: Block) -> int | None:
    """How many tokens back a block attends, itself included; None where it sees all.

    Read from the config: its window, and the kinds of its layers where it lists them.
    """
    config = text_config(model)
    window = getattr(config, "sliding_window", None)
    if not window or getattr(config, "use_sliding_window", True) is False:
        return None
    kinds = getattr(config, "layer_types", None)
    return None if kinds and kinds[block.index] != "sliding_attention" else int(window)
