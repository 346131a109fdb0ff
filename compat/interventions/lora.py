"""A LoRA adapter by `peft`, attached to chosen linear layers and taken off without a trace."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

ADAPTER = "compat"


@contextmanager
def lora(
    model: nn.Module, layers: Sequence[str], *, rank: int = 4, seed: int = 0
) -> Iterator[dict[str, nn.Parameter]]:
    """Attach an adapter of `rank` to the linear layers at these paths.

    Yields its weights by name: they alone ask for a gradient. On leaving, the layers are the
    former objects again, and what asked for a gradient does so. Raises ValueError, from peft, for
    layers of a class that it can't adapt.
    """
    from peft import LoraConfig, LoraModel

    asking = [name for name, weight in model.named_parameters() if weight.requires_grad]
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(layers))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on saving, which is not done
        torch.manual_seed(seed)
        tuner = LoraModel(model, {ADAPTER: config}, ADAPTER)
    try:
        yield {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    finally:
        tuner.unload()
        for name in asking:
            model.get_parameter(name).requires_grad_(True)
