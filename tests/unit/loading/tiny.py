"""Tiny models of random weights, one a kind of architecture, and what loads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from compat.loading.load import load
from compat.loading.loaded import Loaded, LoadOptions
from compat.registry.spec import ModelSpec
from compat.targets import Checkpoint, Device, Mode, Shape, Target, Weights
from compat.weights.local import local_spec

SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 258}
SPECIALS = {"bos_token_id": 257, "eos_token_id": 257, "pad_token_id": 256}


def models() -> dict[str, Callable[[], Any]]:
    import transformers as t

    return {
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**SIZES, **HEADS, **SPECIALS)),
        "gpt2": lambda: t.GPT2LMHeadModel(
            t.GPT2Config(n_embd=64, n_head=4, n_layer=2, n_positions=64, vocab_size=258, **SPECIALS)
        ),
        "t5": lambda: t.T5ForConditionalGeneration(
            t.T5Config(d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, vocab_size=258)
        ),
        "mixtral": lambda: t.MixtralForCausalLM(
            t.MixtralConfig(**SIZES, **HEADS, **SPECIALS, num_local_experts=4)
        ),
        "wide": lambda: t.LlamaForCausalLM(
            t.LlamaConfig(**{**SIZES, "hidden_size": 256, "intermediate_size": 512}, **HEADS)
        ),
        "gpt-oss": lambda: t.GptOssForCausalLM(
            t.GptOssConfig(**SIZES, **HEADS, **SPECIALS, head_dim=16, num_local_experts=4)
        ),
        "odd": lambda: t.LlamaForCausalLM(
            t.LlamaConfig(**{**SIZES, "hidden_size": 96, "intermediate_size": 72}, **HEADS)
        ),
    }


KINDS = ("llama", "gpt2", "t5", "mixtral")


def target_of(spec: ModelSpec, mode: Mode, device: Device = Device.CPU) -> Target:
    return Target(spec.id, spec.slug, Weights.LOCAL, device, mode)


def load_folder(folder: Path, mode: Mode, **options: Any) -> Loaded:
    spec = local_spec(folder)
    shape = Shape(spec.blocks.count, spec.widths.hidden, spec.widths.vocabulary)
    checkpoint = Checkpoint(folder, Weights.LOCAL, shape)
    return load(target_of(spec, mode), spec, checkpoint, LoadOptions(**options))


def logits(model: Any, **inputs: Any) -> torch.Tensor:
    """Logits for ids 10..29, batch x length x vocabulary, in float32."""
    ids = torch.arange(10, 30)[None]
    inputs = inputs or {"input_ids": ids}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    with torch.no_grad():
        return model(**inputs).logits.float()
