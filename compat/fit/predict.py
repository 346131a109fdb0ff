"""From a registry entry to a prediction."""

from __future__ import annotations

from dataclasses import replace

from compat.anatomy.size_facts import WeightFacts
from compat.fit.facts import Build, Facts
from compat.fit.prediction import Prediction
from compat.fit.workload import Workload
from compat.registry.spec import ModelSpec
from compat.targets import Device, Mode
from compat.targets.mode import ModeTraits

COMPUTED_IN = {Device.CPU: "float32", Device.GPU: "bfloat16"}
"""What quantized modes compute in."""
FOUR_BIT = frozenset({"nf4", "fp4"})
OFFLOADED = frozenset({"cpu", "disk"})
"""Where weights wait that no gradient gets back to: of each a copy is used."""
FLOATS = frozenset({"float32", "bfloat16", "float16"})


def predict(
    spec: ModelSpec,
    mode: Mode,
    device: Device,
    workload: Workload | None = None,
    facts: Facts | None = None,
) -> Prediction:
    """What a model takes at its full size, without its weights, a network or a GPU.

    Raises NotPredictableError where transformers has no class of its own for it, or where what it
    does depends on data.
    """
    workload = workload or Workload()
    facts = facts or Facts()
    build = Build(spec, dtype_of(mode, device, spec), workload.attention)
    weights = facts.weights(build)
    scheme = mode.traits.quantization
    run = run_of(build, facts)
    forward = facts.forward(run, workload.batch, workload.length)
    backward = facts.backward(run, workload.batch, workload.length)
    predicted = Prediction(
        model=spec.id,
        mode=mode,
        device=device,
        workload=workload,
        weights=weights.by_dtype if scheme is None else weights.quantized[scheme],
        cache=forward.cache,
        forward=forward.peak,
        backward=backward.peak,
        unpacked=weights.largest_matrix if scheme in FOUR_BIT else 0,
        staged=_staged(weights, build.dtype == spec.checkpoint.dtype and scheme is None),
        module=weights.largest_module,
        unsplit=weights.largest_unsplit,
        buffers=weights.buffers,
        trainable=0 if mode.traits.offload in OFFLOADED else weights.trainable[scheme or ""],
        vocabulary=spec.widths.vocabulary,
    )
    return _stored(predicted, spec) if mode is Mode.NATIVE else predicted


def run_of(build: Build, facts: Facts) -> Build:
    """What is run for a build: float16 as bfloat16, unless the class keeps more in float32 then."""
    if build.dtype != "float16":
        return build
    half = replace(build, dtype="bfloat16")
    kept = [facts.weights(one).by_dtype.get("float32", 0) for one in (build, half)]
    return half if kept[0] == kept[1] else build


def dtype_of(mode: Mode, device: Device, spec: ModelSpec) -> str:
    """torch's name of the dtype of everything in a mode that is not quantized."""
    traits: ModeTraits = mode.traits
    if traits.quantization is not None:
        return COMPUTED_IN[device]
    stored = spec.checkpoint.dtype
    return traits.dtype or (stored if stored in FLOATS else "bfloat16")


def _staged(weights: WeightFacts, as_stored: bool) -> int:
    return weights.largest_stack if as_stored else weights.largest_module


def _stored(predicted: Prediction, spec: ModelSpec) -> Prediction:
    """The weights as the checkpoint stores them, where it stores them quantized: by its size."""
    method = spec.checkpoint.quantization
    if method is None:
        return predicted
    size = round(spec.checkpoint.gb * 1e9)
    return replace(predicted, weights={method: size}, trainable=0)
