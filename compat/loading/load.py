"""One loader for every mode: dtype, placement, quantization and attention are explicit."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from compat.anatomy.fake_forward import supported_attention
from compat.loading.loaded import (
    IncompleteCheckpointError,
    Loaded,
    LoadOptions,
    MissingTokenizerError,
    WrongAutoClassError,
)
from compat.loading.memory import (
    footprint,
    large_pieces_given_back,
    older_objects_uncollected,
    resident_bytes,
)
from compat.loading.outsized import refuse_outsized
from compat.loading.placement import (
    DeviceMap,
    describe_placement,
    device_map,
    offload_from_gpu,
    stored_shapes,
    verify_offload,
)
from compat.loading.quantization import (
    bitsandbytes_config,
    keep_canonical_layout,
    quantized_shapes,
    quantized_share,
)
from compat.loading.quiet import without_noise, without_progress_bars
from compat.loading.release import release
from compat.loading.stored_quantization import refuse_dequantized, settle_stored_quantization
from compat.registry.spec import ModelClass, ModelSpec
from compat.results.record import Measures
from compat.targets import Checkpoint, Device, Mode, Target
from compat.targets.capabilities import REAL
from compat.weights.consent import runs_code
from compat.weights.folder import TOKENIZER_FILES, has_tokenizer

__all__ = ["IncompleteCheckpointError", "LoadOptions", "Loaded", "load", "release"]

AUTO_CLASSES: dict[ModelClass, str] = {
    ModelClass.CAUSAL_LM: "AutoModelForCausalLM",
    ModelClass.SEQ2SEQ: "AutoModelForSeq2SeqLM",
    ModelClass.IMAGE_TEXT: "AutoModelForImageTextToText",
}

KEYS_SHOWN = 8


def load(
    target: Target, spec: ModelSpec, checkpoint: Checkpoint, options: LoadOptions | None = None
) -> Loaded:
    """Load a checkpoint as the target says.

    Raises NotApplicable where the mode has no meaning for this checkpoint, a `LoadError` where
    the loader finds it incomplete, and whatever transformers raises; `compat.outcomes.triage`
    tells which of that is a reason not to run. Nothing stays behind after an error.
    """
    if target.mode is Mode.META:
        raise ValueError("a model of mode meta is built from its config, not loaded")
    options = options or LoadOptions()
    with ExitStack() as undo:
        undo.enter_context(without_noise())
        undo.enter_context(older_objects_uncollected())
        started, resident = time.perf_counter(), resident_bytes()
        trust = runs_code(spec, checkpoint.revision, options.allow_remote_code)
        tokenizer = _load_tokenizer(checkpoint.folder, spec, trust)
        if target.weights in REAL and target.mode.traits.quantization is not None:
            undo.enter_context(large_pieces_given_back())
        model, measures = _load_model(target, spec, checkpoint.folder, options, trust, undo)
        weights = footprint(model)
        measures |= {
            "load_seconds": time.perf_counter() - started,
            "weights_bytes": weights.stored,
            "offloaded_bytes": weights.offloaded,
            "resident_bytes_before": resident,
            "resident_bytes_after": resident_bytes(),
        }
        kept = undo.pop_all()
    return Loaded(target, checkpoint, model, tokenizer, measures, weights.stored, kept)


def load_dtype(target: Target) -> torch.dtype | str:
    """The dtype of everything that is not quantized; "auto" for weights as they are stored.

    Quantized modes compute in bfloat16 on a GPU and in float32 on a CPU.
    """
    traits = target.mode.traits
    if traits.dtype is None:
        return "auto"
    if traits.quantization is not None and target.device is Device.GPU:
        return torch.bfloat16
    dtype: torch.dtype = getattr(torch, traits.dtype)
    return dtype


def _load_tokenizer(folder: Path, spec: ModelSpec, trust: bool) -> Any:
    from transformers import AutoTokenizer

    if not has_tokenizer(folder):
        raise MissingTokenizerError(
            f"the checkpoint of {spec.id} holds no tokenizer: none of {', '.join(TOKENIZER_FILES)}"
        )
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust)


def _load_model(
    target: Target,
    spec: ModelSpec,
    folder: Path,
    options: LoadOptions,
    trust: bool,
    undo: ExitStack,
) -> tuple[Any, Measures]:
    import transformers

    auto_class = getattr(transformers, AUTO_CLASSES[spec.model_class])
    config = transformers.AutoConfig.from_pretrained(
        folder, local_files_only=True, trust_remote_code=trust, **spec.config_fix
    )
    settle_stored_quantization(config, target)
    model_class = _model_class(auto_class, config, folder, trust)
    if model_class is None:
        raise WrongAutoClassError(_other_classes(spec, config))
    if target.weights in REAL:
        refuse_outsized(auto_class, config, folder, trust)
    attention = supported_attention(model_class, options.attention)
    dtype, placement = load_dtype(target), device_map(target)
    arguments = _quantization_arguments(target, dtype) | _offload_arguments(target, options, undo)
    with without_progress_bars():
        model, info = auto_class.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            device_map=placement,
            attn_implementation=attention,
            use_safetensors=_safetensors_only(folder, options),
            ignore_mismatched_sizes=True,  # collected in `info`, and raised with their names below
            output_loading_info=True,
            local_files_only=True,
            trust_remote_code=trust,
            **arguments,
        )
    _refuse_incomplete(model, info, spec)
    refuse_dequantized(model, config, target, spec)
    workaround = None if options.repack_4bit_on_cpu else _work_around(model, target)
    if "offload_folder" in arguments:
        offload_from_gpu(model, target, Path(arguments["offload_folder"]))
    verify_offload(model, target)
    measures = _measures(model, dtype, placement, info, target)
    return model.eval(), measures | {"workaround": workaround}


def _model_class(auto_class: Any, config: Any, folder: Path, trust: bool) -> Any:
    """Find the class that `auto_class` is going to build, to read its flags.

    None where there is none.
    """
    reference = getattr(config, "auto_map", {}).get(auto_class.__name__)
    if trust and reference:
        from transformers.dynamic_module_utils import get_class_from_dynamic_module

        return get_class_from_dynamic_module(reference, folder, local_files_only=True)
    if type(config) not in auto_class._model_mapping:
        return None
    from transformers.models.auto.auto_factory import _get_model_class

    return _get_model_class(config, auto_class._model_mapping)


def _other_classes(spec: ModelSpec, config: Any) -> str:
    """Which classes load the config, for a person who has to correct one."""
    import transformers

    fitting = [
        str(kind)
        for kind, name in AUTO_CLASSES.items()
        if type(config) in getattr(transformers, name)._model_mapping
    ]
    return (
        f"{spec.id} is said to be of class {spec.model_class}, as which transformers loads no "
        f"{type(config).__name__}; it does as {' or '.join(fitting) or 'none that is tested here'}"
    )


def _quantization_arguments(target: Target, dtype: torch.dtype | str) -> dict[str, Any]:
    scheme = target.mode.traits.quantization
    if scheme is None:
        return {}
    if isinstance(dtype, str):
        raise ValueError(f"{target.mode} needs a compute dtype, not {dtype!r}")
    return {"quantization_config": bitsandbytes_config(scheme, dtype)}


def _offload_arguments(target: Target, options: LoadOptions, undo: ExitStack) -> dict[str, Any]:
    if target.mode not in (Mode.DISK_OFFLOAD, Mode.CPU_OFFLOAD, Mode.AUTO):
        return {}
    folder = tempfile.TemporaryDirectory(prefix="compat-offload-", dir=options.offload_folder)
    return {"offload_folder": undo.enter_context(folder)}


def _safetensors_only(folder: Path, options: LoadOptions) -> bool:
    """Pickles run code when they are read: only with consent, and only where there is no choice."""
    return not options.allow_pickle or any(folder.glob("*.safetensors"))


def _refuse_incomplete(model: Any, info: dict[str, Any], spec: ModelSpec) -> None:
    """Raise IncompleteCheckpointError for weights that the checkpoint did not fill.

    Tied weights and buffers that are computed are not among transformers' missing keys.
    """
    problems = [f"{key} is missing" for key in sorted(info["missing_keys"])]
    problems += [
        f"{key} is {tuple(stored)} and should be {tuple(expected)}"
        for key, stored, expected in sorted(info["mismatched_keys"])
    ]
    problems += [
        f"{name} is {stored} and should be {expected}"
        for name, stored, expected in (*quantized_shapes(model), *stored_shapes(model))
        if stored != expected
    ]
    problems += [str(message) for message in info["error_msgs"]]
    if problems:
        shown = "\n  ".join(problems[:KEYS_SHOWN])
        more = f"\n  and {len(problems) - KEYS_SHOWN} more" if len(problems) > KEYS_SHOWN else ""
        raise IncompleteCheckpointError(
            f"the checkpoint does not fill {type(model).__name__} ({spec.id}):\n  {shown}{more}"
        )


def _work_around(model: Any, target: Target) -> str | None:
    if target.device is not Device.CPU:
        return None
    workaround = keep_canonical_layout(model)
    return None if workaround is None else workaround.name


def _measures(
    model: Any, dtype: torch.dtype | str, placement: DeviceMap, info: dict[str, Any], target: Target
) -> Measures:
    quantized = target.mode.traits.quantization is not None
    return {
        "dtype": str(model.dtype if isinstance(dtype, str) else dtype).removeprefix("torch."),
        "attention": str(model.config._attn_implementation),
        "device_map": describe_placement(model, placement),
        "quantized_share": quantized_share(model) if quantized else None,
        "unexpected_keys": len(info["unexpected_keys"]),
    }
