"""The loader gives what the mode says, and refuses what it can't fill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import bitsandbytes
import pytest
import torch
from torch import nn
from transformers import BloomForCausalLM, LlamaForCausalLM

from compat.loading.load import load_dtype, supported_attention
from compat.loading.loaded import (
    IncompleteCheckpointError,
    Loaded,
    MissingTokenizerError,
    UnknownQuantizationError,
)
from compat.loading.memory import footprint
from compat.loading.placement import device_map
from compat.outcomes import CannotRun, NotApplicable
from compat.targets import CPU_MODES, Device, Mode
from compat.weights.local import local_spec
from tests.unit.loading.tiny import KINDS, load_folder, logits, target_of

Folders = Callable[[str], Path]
Loading = Callable[..., Loaded]
Tensors = dict[str, torch.Tensor]
Damaged = Callable[[str, Callable[[Tensors], None]], Path]

DTYPES = {Mode.FP32: torch.float32, Mode.BF16: torch.bfloat16, Mode.FP16: torch.float16}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", DTYPES)
def test_float_modes_have_the_dtype_asked_for(
    kind: str, mode: Mode, checkpoints: Folders, loading: Loading
) -> None:
    model = loading(checkpoints(kind), mode).model
    keep = tuple(model._keep_in_fp32_modules or ()) if mode is Mode.FP16 else ()
    for name, parameter in model.named_parameters():
        kept = any(part in name.split(".") for part in keep)
        assert parameter.dtype == (torch.float32 if kept else DTYPES[mode]), name


@pytest.mark.parametrize("kind", KINDS)
def test_disk_offload_keeps_no_parameter_in_memory_and_changes_no_logit(
    kind: str, checkpoints: Folders, loading: Loading
) -> None:
    whole = logits(loading(checkpoints(kind), Mode.FP32).model)
    loaded = loading(checkpoints(kind), Mode.DISK_OFFLOAD)
    assert all(parameter.is_meta for parameter in loaded.model.parameters())
    weights = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
    assert loaded.measures["offloaded_bytes"] == weights
    assert loaded.measures["device_map"] == "disk"
    assert torch.equal(logits(loaded.model), whole)
    assert footprint(loaded.model).offloaded == weights


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mode", "layer_class", "stored"),
    [
        (Mode.INT8, bitsandbytes.nn.Linear8bitLt, torch.int8),
        (Mode.NF4, bitsandbytes.nn.Linear4bit, torch.uint8),
    ],
)
def test_quantized_modes_replace_every_linear_layer_of_the_blocks(
    kind: str,
    mode: Mode,
    layer_class: type[nn.Module],
    stored: torch.dtype,
    checkpoints: Folders,
    loading: Loading,
) -> None:
    loaded = loading(checkpoints(kind), mode)
    kept = {*(loaded.model._keep_in_fp32_modules or ()), "lm_head"}  # T5 keeps its `wo`
    layers = [
        module
        for name, module in loaded.model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] not in kept
    ]
    assert layers
    assert {type(layer) for layer in layers} == {layer_class}
    assert {layer.weight.dtype for layer in layers} == {stored}
    elements = sum(layer.in_features * layer.out_features for layer in layers)
    whole = sum(p.numel() for p in loading(checkpoints(kind), Mode.FP32).model.parameters())
    assert loaded.measures["quantized_share"] == pytest.approx(elements / whole)


def test_fused_experts_are_counted_as_not_quantized(checkpoints: Folders, loading: Loading) -> None:
    dense = loading(checkpoints("llama"), Mode.NF4).measures["quantized_share"]
    experts = loading(checkpoints("mixtral"), Mode.NF4).measures["quantized_share"]
    assert experts < 0.2 < 0.6 < dense


def test_weights_bytes_count_scales_and_tied_weights_once(
    checkpoints: Folders, loading: Loading
) -> None:
    nf4 = loading(checkpoints("llama"), Mode.NF4)
    expected = 0
    for module in nf4.model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            elements = module.in_features * module.out_features
            expected += elements // 2 + elements // 64 * 4 + 16 * 4
        else:
            own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
            expected += sum(tensor.numel() * tensor.element_size() for tensor in own)
    assert nf4.measures["weights_bytes"] == expected

    tied = loading(checkpoints("gpt2"), Mode.FP32)
    assert tied.model.lm_head.weight is tied.model.transformer.wte.weight
    assert tied.measures["weights_bytes"] == 4 * tied.model.num_parameters()


def test_bytes_are_the_same_before_and_after_a_forward(
    checkpoints: Folders, loading: Loading
) -> None:
    for mode in (Mode.INT8, Mode.NF4):
        loaded = loading(checkpoints("llama"), mode)
        logits(loaded.model)
        assert footprint(loaded.model).stored == loaded.measures["weights_bytes"], mode


def test_a_model_comes_in_eval_mode_with_gradients_as_loaded(
    checkpoints: Folders, loading: Loading
) -> None:
    model = loading(checkpoints("llama"), Mode.FP32).model
    assert not any(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_tokenizer_is_left_as_it_is_stored(checkpoints: Folders, loading: Loading) -> None:
    tokenizer = loading(checkpoints("llama"), Mode.FP32).tokenizer
    assert (tokenizer.pad_token, tokenizer.bos_token) == ("<pad>", None)


@pytest.mark.parametrize("mode", CPU_MODES)
def test_a_checkpoint_that_lacks_a_weight_is_refused_by_name(mode: Mode, damaged: Damaged) -> None:
    folder = damaged("llama", lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(IncompleteCheckpointError, match=r"layers\.1\.mlp\.up_proj\.weight is miss"):
        load_folder(folder, mode)


@pytest.mark.parametrize("mode", CPU_MODES)
def test_a_checkpoint_with_a_weight_of_another_shape_is_refused_by_name(
    mode: Mode, damaged: Damaged
) -> None:
    def shorten(tensors: Tensors) -> None:
        tensors["model.layers.1.mlp.up_proj.weight"] = torch.zeros(64, 64)

    with pytest.raises(IncompleteCheckpointError, match=r"layers\.1\.mlp\.up_proj\.weight is \(64"):
        load_folder(damaged("llama", shorten), mode)


def test_an_untied_head_that_is_missing_is_refused(damaged: Damaged) -> None:
    with pytest.raises(IncompleteCheckpointError, match=r"lm_head\.weight is missing"):
        load_folder(damaged("llama", lambda tensors: tensors.pop("lm_head.weight")), Mode.FP32)


def test_a_checkpoint_of_the_base_model_alone_is_complete_where_the_head_is_tied(
    damaged: Damaged, checkpoints: Folders, loading: Loading
) -> None:
    """The hub's gpt2 is stored like this, with causal masks that are computed today."""

    def as_on_the_hub(tensors: Tensors) -> None:
        for key in list(tensors):
            tensors[key.removeprefix("transformer.")] = tensors.pop(key)
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)

    stripped = loading(damaged("gpt2", as_on_the_hub), Mode.FP32).model
    assert torch.equal(logits(stripped), logits(loading(checkpoints("gpt2"), Mode.FP32).model))


def test_weights_that_the_model_has_no_place_for_are_counted(
    damaged: Damaged, loading: Loading
) -> None:
    def add(tensors: Tensors) -> None:
        tensors["model.layers.0.surplus.weight"] = torch.zeros(2)

    assert loading(damaged("llama", add), Mode.FP32).measures["unexpected_keys"] == 1


def test_a_checkpoint_without_a_tokenizer_is_refused(checkpoints: Folders, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoints("llama"), tmp_path / "mute")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(MissingTokenizerError, match="holds no tokenizer"):
        load_folder(folder, Mode.FP32)


def test_pickled_weights_are_read_with_consent_only(
    checkpoints: Folders, tmp_path: Path, loading: Loading
) -> None:
    folder = shutil.copytree(checkpoints("llama"), tmp_path / "pickled")
    spec = local_spec(folder)  # while it still has safetensors to read sizes from
    model = loading(folder, Mode.FP32).model
    torch.save(dict(model.state_dict()), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()

    from compat.loading.load import load
    from compat.loading.loaded import LoadOptions
    from compat.loading.release import release
    from compat.targets import Checkpoint, Shape, Weights

    checkpoint = Checkpoint(folder, Weights.LOCAL, Shape(2, 64, 258))
    with pytest.raises(OSError, match=r"model\.safetensors"):
        load(target_of(spec, Mode.FP32), spec, checkpoint)
    loaded = load(target_of(spec, Mode.FP32), spec, checkpoint, LoadOptions(allow_pickle=True))
    assert torch.equal(logits(loaded.model), logits(model))
    release(loaded)


def test_sdpa_gives_way_to_eager_by_the_flags_of_the_class() -> None:
    assert supported_attention(LlamaForCausalLM, "sdpa") == "sdpa"
    assert supported_attention(BloomForCausalLM, "sdpa") == "eager"
    assert supported_attention(LlamaForCausalLM, "eager") == "eager"
    assert supported_attention(BloomForCausalLM, "flex_attention") == "flex_attention"


def test_the_attention_implementation_is_recorded(checkpoints: Folders, loading: Loading) -> None:
    assert loading(checkpoints("llama"), Mode.FP32).measures["attention"] == "sdpa"
    eager = loading(checkpoints("llama"), Mode.FP32, attention="eager")
    assert eager.measures["attention"] == eager.model.config._attn_implementation == "eager"


def _stored_as(folder: Path, quantization: dict[str, object]) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": quantization}))
    return folder


@pytest.mark.parametrize("mode", [Mode.INT8, Mode.NF4])
def test_quantized_modes_mean_nothing_for_weights_that_are_stored_quantized(
    mode: Mode, damaged: Damaged
) -> None:
    folder = _stored_as(damaged("llama", lambda _: None), {"quant_method": "mxfp4"})
    with pytest.raises(NotApplicable, match="stored quantized"):
        load_folder(folder, mode)


def test_float_modes_mean_nothing_for_weights_that_can_not_be_dequantized(damaged: Damaged) -> None:
    stored = {"quant_method": "gptq", "bits": 4}
    folder = _stored_as(damaged("llama", lambda _: None), stored)
    with pytest.raises(NotApplicable, match="can't be dequantized"):
        load_folder(folder, Mode.FP32)


@pytest.fixture
def stored_in_mxfp4(damaged: Damaged) -> Path:
    """A gpt-oss whose experts are 4-bit codes and block scales, as on the hub."""

    def pack(tensors: Tensors) -> None:
        for key in [key for key in tensors if key.endswith(("experts.gate_up_proj", "down_proj"))]:
            experts, width, rows = tensors.pop(key).shape
            codes = torch.randint(0, 256, (experts, rows, width // 32, 16), dtype=torch.uint8)
            tensors[f"{key}_blocks"] = codes
            tensors[f"{key}_scales"] = torch.full(codes.shape[:-1], 120, dtype=torch.uint8)

    kept = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens"]
    stored = {"quant_method": "mxfp4", "modules_to_not_convert": [*kept, "lm_head"]}
    return _stored_as(damaged("gpt-oss", pack), stored)


@pytest.mark.parametrize("mode", DTYPES)
def test_float_modes_dequantize_what_can_be(
    mode: Mode, stored_in_mxfp4: Path, loading: Loading
) -> None:
    model = loading(stored_in_mxfp4, mode).model
    experts = model.model.layers[0].mlp.experts
    assert experts.gate_up_proj.dtype == experts.down_proj.dtype == DTYPES[mode]
    assert logits(model).isfinite().all()


def test_native_mode_does_not_pass_dequantized_weights_off_as_native(stored_in_mxfp4: Path) -> None:
    with pytest.raises(CannotRun, match="stored as mxfp4 can't be run as they are here"):
        load_folder(stored_in_mxfp4, Mode.NATIVE)


def test_an_unknown_quantization_is_an_error_and_not_a_random_model(damaged: Damaged) -> None:
    folder = _stored_as(damaged("llama", lambda _: None), {"quant_method": "abacus"})
    with pytest.raises(UnknownQuantizationError, match="abacus"):
        load_folder(folder, Mode.NATIVE)


def test_gpu_modes_place_and_compute_as_they_say(checkpoints: Folders) -> None:
    spec = local_spec(checkpoints("llama"))
    placed = {mode: device_map(target_of(spec, mode, Device.GPU)) for mode in Mode}
    assert placed[Mode.FP16] == placed[Mode.NF4] == placed[Mode.NATIVE] == {"": 0}
    assert placed[Mode.CPU_OFFLOAD] == placed[Mode.DISK_OFFLOAD] == {"": "cpu"}
    assert placed[Mode.AUTO] == "auto"
    assert load_dtype(target_of(spec, Mode.NF4, Device.GPU)) == torch.bfloat16
    assert load_dtype(target_of(spec, Mode.NF4, Device.CPU)) == torch.float32
    assert load_dtype(target_of(spec, Mode.NATIVE, Device.GPU)) == "auto"
