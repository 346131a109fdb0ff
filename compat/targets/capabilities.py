"""What a target is able to do, as far as its registry entry tells: judged before anything loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.targets.mode import Mode
from compat.targets.target import BARE, Device, Kind, Target, Weights

if TYPE_CHECKING:
    from compat.registry.pair import Entry
    from compat.registry.spec import ModelSpec

SEQ2SEQ = "seq2seq"
REAL = (Weights.HUB, Weights.LOCAL)
"""Weights that are stored as somebody else has left them."""
HALF_DTYPES = frozenset({"bfloat16", "float16"})


def known_capabilities(entry: Entry, target: Target) -> dict[str, bool]:
    """Capabilities whose presence or absence is certain from `entry` and `target` alone.

    A name that is not a key is unknown here: the subject decides once the target is loaded. A
    pair has a capability where both its models have it.
    """
    judged = [_of_model(spec, target) for spec in entry.models]
    known: dict[str, bool] = {}
    for name in {name for one in judged for name in one}:
        found = [one.get(name) for one in judged]
        if False in found:
            known[name] = False
        elif None not in found:
            known[name] = True
    return known


def _of_model(spec: ModelSpec, target: Target) -> dict[str, bool]:
    known = {
        str(spec.model_class): True,
        "decoder-only": spec.model_class != SEQ2SEQ,
        "encoder": spec.encoder is not None,
        "vision": spec.vision is not None,
        "quantized": _is_quantized(spec, target),
        "half": target.mode.traits.dtype in HALF_DTYPES,
    }
    for other in ("causal-lm", "seq2seq", "image-text"):
        known.setdefault(other, False)
    known |= _placement(target.mode)
    if spec.chat_template is not None:
        known["chat-template"] = spec.chat_template
    return known


def _placement(mode: Mode) -> dict[str, bool]:
    """Where the weights are. What `auto` does with them depends on the GPUs."""
    if mode is Mode.AUTO:
        return {}
    elsewhere = mode.traits.offload is not None
    return {"resident-weights": not elsewhere, "offloaded": elsewhere, "divided-weights": elsewhere}


def _is_quantized(spec: ModelSpec, target: Target) -> bool:
    if target.mode.traits.quantization is not None:
        return True
    stored = spec.checkpoint.quantization is not None and target.weights in REAL
    return stored and target.mode is Mode.NATIVE


def makes_sense(entry: Entry, target: Target) -> bool:
    """Whether `target` is a way to load `entry` at all.

    Stored-as-is loading means nothing for a twin, which is stored in full precision, and on a CPU
    for float weights, which the float modes load; and a checkpoint that is stored quantized cannot
    be quantized once more. A pair has no config of its own, and no wrapper goes around two models,
    or around a config.
    """
    a_model, a_config = target.kind is Kind.MODEL, target.weights is Weights.CONFIG
    if (target.wrapper != BARE and (a_config or not a_model)) or (a_config and not a_model):
        return False
    return all(_makes_sense(spec, target) for spec in entry.models)


def _makes_sense(spec: ModelSpec, target: Target) -> bool:
    stored_quantized = spec.checkpoint.quantization is not None and target.weights in REAL
    if target.mode is Mode.NATIVE:
        return stored_quantized or (target.weights in REAL and target.device is Device.GPU)
    return not (stored_quantized and target.mode.traits.quantization is not None)
