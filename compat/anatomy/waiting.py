"""Offloaded weights: where they wait, and which device they are brought to when they are used.

accelerate leaves a hook at every module whose weights it brings in, with a map of where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

DISK = "disk"
NOWHERE = "nowhere"
"""Of a weight without data that no hook brings in."""


def waiting_places(model: nn.Module) -> dict[str, str]:
    """Where each weight without data waits, by name: `disk`, or the device that holds it."""
    found = {name: NOWHERE for name, weight in model.named_parameters() if weight.is_meta}
    for path, module in model.named_modules():
        for hook in offload_hooks(module):
            deep = bool(getattr(hook, "place_submodules", False))
            for key, weight in module.named_parameters(recurse=deep):
                name = f"{path}.{key}" if path else key
                if weight.is_meta and name in found:
                    found[name] = _place(hook.weights_map, key)
    return found


def execution_devices(model: nn.Module) -> set[torch.device]:
    """The devices to which hooks bring the weights of a module and of its parts."""
    hooks = (hook for module in model.modules() for hook in offload_hooks(module))
    return {device_of(hook.execution_device) for hook in hooks if hook.execution_device is not None}


def offload_hooks(module: nn.Module) -> Iterator[Any]:
    """The hooks of accelerate that bring in a module's weights."""
    hook = getattr(module, "_hf_hook", None)
    for one in getattr(hook, "hooks", (hook,)):
        if getattr(one, "weights_map", None) is not None:
            yield one


def _place(weights: Any, name: str) -> str:
    """Look a weight up, through the maps that put a prefix before its name."""
    while (inner := getattr(weights, "dataset", None)) is not None:
        weights, name = inner, f"{weights.prefix}{name}"
    held: Mapping[str, torch.Tensor] = getattr(weights, "state_dict", weights)
    if name in held:
        return str(held[name].device)
    return DISK if name in getattr(weights, "index", {}) else NOWHERE


def device_of(device: int | str | torch.device) -> torch.device:
    """A device as accelerate names it: a number is a GPU, whether there is one here or not."""
    return torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
