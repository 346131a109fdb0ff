"""What the modes mean for a checkpoint whose weights are already stored quantized."""

from __future__ import annotations

from typing import Any

from compat.loading.loaded import UnknownQuantizationError
from compat.outcomes import CannotRun, NotApplicable, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Mode, Target


def settle_stored_quantization(config: Any, target: Target) -> None:
    """Settle what a mode means for a checkpoint that is stored quantized.

    Float modes dequantize on loading where the method can. Raises NotApplicable where the mode
    can't be had, UnknownQuantizationError where transformers would load the codes as weights.
    """
    stored = getattr(config, "quantization_config", None)
    if stored is None:
        return
    from transformers.quantizers.auto import AutoHfQuantizer, AutoQuantizationConfig

    method = stored.get("quant_method") if isinstance(stored, dict) else stored.quant_method
    if not AutoHfQuantizer.supports_quant_method(stored):
        raise UnknownQuantizationError(f"transformers does not know quant_method {method!r}")
    if target.mode is Mode.NATIVE:
        return
    if target.mode.traits.quantization is not None:
        raise NotApplicable(f"{target.mode}, for the checkpoint is stored quantized ({method})")
    if not isinstance(stored, dict):
        stored = stored.to_dict()
    if not hasattr(AutoQuantizationConfig.from_dict(dict(stored)), "dequantize"):
        raise NotApplicable(f"{target.mode}, for {method} weights can't be dequantized on loading")
    config.quantization_config = {**stored, "dequantize": True}


def refuse_dequantized(model: Any, config: Any, target: Target, spec: ModelSpec) -> None:
    """Raise CannotRun where mode native was asked for and transformers dequantized on its own.

    It does so, with a line in the log, where a package or the hardware for the format is missing.
    """
    if target.mode is not Mode.NATIVE or getattr(config, "quantization_config", None) is None:
        return
    if getattr(model.config, "quantization_config", None) is None:
        packages = " ".join(spec.optional)
        install = f"run `pip install {packages}`, or " if packages else ""
        raise CannotRun(
            Reason(
                ReasonCode.MISSING_PACKAGE,
                f"weights stored as {spec.checkpoint.quantization} can't be run as they are here",
                f"{install}choose mode bf16, which dequantizes them",
            )
        )
