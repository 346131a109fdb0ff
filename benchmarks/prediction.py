"""Predicted against measured memory, of checkpoints at full size: each in a process of its own.

`python -m benchmarks.prediction FOLDER MODE DEVICE` measures one.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.runs import empty_folder, timed
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import this_host

MODELS = ("gpt2", "opt-350m", "pythia-410m")
STATUS = Path("/proc/self/status")
MODES = (Mode.FP32, Mode.BF16, Mode.INT8, Mode.NF4)

Figures = dict[str, Any]


def prediction() -> Figures:
    """Predicted over measured bytes, less one: at most 5 % in float and 8 % quantized, on a GPU.

    `weights` is what they are stored in, `forward` the most that one holds besides, `cache` its
    keys and values: bytes of tensors on a CPU, of torch's allocator on a GPU. `loading` and
    `running` are the most that was taken in each, of everything: of the allocator on a GPU, and on
    a CPU of memory that is the process's own, of malloc and what libraries keep for themselves.
    Pages of the mapped checkpoint are not: the system gives them up before anything runs short.
    Weights that are used straight out of it, as gpt2's in float32, are predicted and not measured.
    """
    from compat.registry.load import default_registry_path, load_registry
    from compat.weights.full.write import write_full

    registry = load_registry(default_registry_path())
    devices = (Device.CPU, Device.GPU) if this_host().gpu_usable else (Device.CPU,)
    found: Figures = {}
    with empty_folder() as scratch:
        for name in MODELS:
            folder = scratch / name
            write_full(registry.by_id(name), folder)
            for device in devices:
                for mode in MODES:
                    found[f"{name} {device} {mode}"] = _measured(folder, mode, device)
    return {**_largest_errors(found), "cases": found}


def _measured(folder: Path, mode: Mode, device: Device) -> Figures:
    command = [sys.executable, "-m", "benchmarks.prediction", str(folder), str(mode), str(device)]
    _, status, output = timed(command)
    if status != 0:
        raise RuntimeError(output[-2000:])
    # Libraries may have had something to say before or after.
    (line,) = (line for line in output.splitlines() if line.startswith("{"))
    measured: Figures = json.loads(line)
    return measured


def _largest_errors(found: Figures) -> Figures:
    """The error that is furthest from none, by device, kind of mode, and what is predicted."""
    worst: Figures = {}
    for case, figures in found.items():
        _, device, mode = case.split()
        kind = "float" if Mode(mode).traits.quantization is None else "quantized"
        for what, error in figures["error"].items():
            key = f"largest_error_{device}_{kind}_{what}"
            worst[key] = max(worst.get(key, 0.0), error, key=abs)
    return worst


def measure_one(folder: Path, mode: Mode, device: Device) -> Figures:
    """Load a checkpoint and run a forward: predicted and measured bytes, and the errors."""
    import torch

    from compat.fit import Workload, predict
    from compat.loading.open import Opening, open_subject
    from compat.subject.memory import measure
    from compat.weights.local import local_spec

    torch.set_num_threads(1)
    spec = local_spec(folder)
    target = Target(spec.id, spec.slug, Weights.LOCAL, device, mode)
    opening = Opening(host=this_host(), local={spec.id: folder})
    most = _most_taken(device, spec.architecture)
    with open_subject(target, spec, opening) as subject:
        loading = most()
        forward = measure(subject)
        running = most()
        weights = subject.load_measures["weights_bytes"]
    predicted = predict(spec, mode, device, Workload(batch=1, length=forward.tokens))
    held = predicted.weights_bytes
    needs = predicted.needs()
    passing = (needs.gpu if device is Device.GPU else needs.host).passing
    # What 4-bit layers unpack on a CPU is allocated out of torch's sight.
    run = predicted.forward + (predicted.unpacked if device is Device.GPU else 0)
    return _compared(
        predicted={
            "weights": held,
            "forward": run,
            "cache": predicted.cache,
            "loading": held + predicted.staged,
            "running": held + passing,
        },
        measured={
            "weights": weights,
            "forward": forward.peak,
            "cache": forward.cache,
            "loading": loading,
            "running": running,
        },
    )


def _most_taken(device: Device, architecture: str) -> Callable[[], int]:
    """Begin to count; what is returned says the most bytes taken since, or since the last forward.

    What has to be imported to load a model is imported before: it is no part of the model.
    """
    import torch
    import transformers

    if device is Device.GPU:
        return torch.cuda.max_memory_allocated
    for name in ("accelerate", "bitsandbytes"):
        import_module(name)
    getattr(transformers, architecture)
    before, watch = own_memory(), PeakOfOwnMemory()
    watch.start()
    return lambda: watch.peak_since_asked() - before


def own_memory() -> int:
    """Resident memory of this process that is no file's, in bytes."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


class PeakOfOwnMemory(threading.Thread):
    """Looks every millisecond: the peak that the system keeps has files' pages in it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._peak = 0

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            self._peak = max(self._peak, own_memory())
            time.sleep(0.001)

    def peak_since_asked(self) -> int:
        """The most since it was asked last, or since the beginning."""
        peak, self._peak = max(self._peak, own_memory()), 0
        return peak


def _compared(predicted: Figures, measured: Figures) -> Figures:
    error = {name: round(predicted[name] / measured[name] - 1, 4) for name in measured}
    return {"predicted": predicted, "measured": measured, "error": error}


if __name__ == "__main__":
    print(json.dumps(measure_one(Path(sys.argv[1]), Mode(sys.argv[2]), Device(sys.argv[3]))))
