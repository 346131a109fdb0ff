"""Where a mode puts a model's weights, and making sure that they are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from torch import nn

from compat.anatomy.waiting import device_of, execution_devices, offload_hooks, waiting_places
from compat.loading.loaded import NotOffloadedError
from compat.targets import Device, Mode, Target

FIRST_GPU = 0
"""Each worker sees its own GPU as number 0."""

DeviceMap = str | dict[str, int | str]


def device_map(target: Target) -> DeviceMap:
    """Return the `device_map` that `from_pretrained` is given for this target.

    Modes that offload from a GPU load to main memory first and are moved by `offload_from_gpu`: a
    map that holds nothing but `cpu` or `disk` would compute on the CPU.
    """
    if target.mode is Mode.AUTO:
        return "auto"
    offload = target.mode.traits.offload
    if target.device is Device.GPU:
        return {"": FIRST_GPU} if offload is None else {"": "cpu"}
    return {"": "disk"} if offload == "disk" else {"": "cpu"}


def offload_from_gpu(model: nn.Module, target: Target, folder: Path) -> None:
    """Let a model in main memory compute on the GPU, block by block, for the offload modes."""
    import accelerate

    if target.device is not Device.GPU:
        return
    if target.mode is Mode.CPU_OFFLOAD:
        accelerate.cpu_offload(model, execution_device=FIRST_GPU)
    elif target.mode is Mode.DISK_OFFLOAD:
        accelerate.disk_offload(model, str(folder), execution_device=FIRST_GPU)


def verify_offload(model: nn.Module, target: Target) -> None:
    """Raise NotOffloadedError where a parameter is still in memory, or computed with elsewhere.

    `hf_device_map` can't be asked: it is missing on hosts without a GPU.
    """
    if target.mode not in (Mode.CPU_OFFLOAD, Mode.DISK_OFFLOAD):
        return
    held = [name for name, parameter in model.named_parameters() if not parameter.is_meta]
    if held:
        raise NotOffloadedError(
            f"{target.mode}: {len(held)} parameters stayed in memory, the first is {held[0]}"
        )
    computing = device_of(FIRST_GPU) if target.device is Device.GPU else torch.device("cpu")
    devices = execution_devices(model)
    if devices != {computing}:
        shown = ", ".join(sorted(map(str, devices))) or "no device"
        raise NotOffloadedError(f"{target.mode}: weights are brought to {shown}, not {computing}")


def stored_shapes(model: nn.Module) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Yield name, stored shape and expected shape of every weight that is read from disk on use.

    transformers reads no weight on loading that goes to disk, and so compares no shape (5.23): one
    of another size is found at the first forward, or never where it happens to broadcast.
    """
    index = _disk_index(model)
    for name, parameter in model.named_parameters():
        entry = index.get(name, {})
        if parameter.is_meta and entry.get("safetensors_file"):
            with safe_open(entry["safetensors_file"], framework="pt") as file:
                stored = file.get_slice(entry.get("weight_name", name)).get_shape()
            yield name, tuple(stored), tuple(parameter.shape)


def _disk_index(model: nn.Module) -> Mapping[str, dict[str, str]]:
    """accelerate's index of an offloaded model: file and key by parameter name."""
    for module in model.modules():
        for hook in offload_hooks(module):
            index = getattr(getattr(hook.weights_map, "dataset", None), "index", None)
            if index:
                return cast("Mapping[str, dict[str, str]]", index)
    return {}


def describe_placement(model: Any, asked: DeviceMap) -> str:
    """Say where the parts of a model are: `cpu`, `disk`, or `cuda:0 x 20, cpu x 3`.

    Of a model that waits as a whole, where it really does, and which other device computes: `disk,
    computed on cuda:0`.
    """
    places = waiting_places(model)
    if places and len(places) == len(dict(model.named_parameters())):
        devices = execution_devices(model) - {torch.device("cpu")}
        computed = [f"computed on {device}" for device in sorted(map(str, devices))]
        return ", ".join([*sorted(set(places.values())), *computed])
    placed = getattr(model, "hf_device_map", None) or asked
    if isinstance(placed, str):
        return placed
    counts = Counter(_device_name(device) for device in placed.values())
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} x {count}" for name, count in sorted(counts.items()))


def _device_name(device: object) -> str:
    return f"cuda:{device}" if isinstance(device, int) else str(device)
