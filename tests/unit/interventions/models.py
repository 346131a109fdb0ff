"""Small models of random weights, of each way to lay out heads."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn

from compat.anatomy.anatomy import find_anatomy
from compat.interventions import GateSite, gate_sites
from compat.targets import Shape

VOCABULARY = 64
IDS = torch.arange(2, 14)[None]
SIZES = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": VOCABULARY}


def _models() -> dict[str, Callable[[], Any]]:
    import transformers as t

    latent = {"kv_lora_rank": 16, "q_lora_rank": None, "qk_nope_head_dim": 16}
    latent |= {"qk_rope_head_dim": 8, "v_head_dim": 24, "first_k_dense_replace": 2}
    return {
        "grouped heads": lambda: t.LlamaForCausalLM(t.LlamaConfig(**SIZES, **HEADS)),
        "heads wider than the model": lambda: t.Qwen3ForCausalLM(
            t.Qwen3Config(**SIZES, **HEADS, head_dim=24)
        ),
        "fused query, key and value": lambda: t.GPT2LMHeadModel(
            t.GPT2Config(n_embd=32, n_head=4, n_layer=2, n_positions=32, vocab_size=VOCABULARY)
        ),
        "one key-value head": lambda: t.FalconForCausalLM(
            t.FalconConfig(
                hidden_size=32, num_attention_heads=4, num_hidden_layers=2, vocab_size=64
            )
        ),
        "rows of sequences one after the other": lambda: t.BloomForCausalLM(
            t.BloomConfig(hidden_size=32, n_head=4, n_layer=2, vocab_size=VOCABULARY)
        ),
        "a latent in the place of keys and values": lambda: t.DeepseekV2ForCausalLM(
            t.DeepseekV2Config(**SIZES, **HEADS | {"num_key_value_heads": 4}, **latent)
        ),
        "a sink beside the keys": lambda: t.GptOssForCausalLM(
            t.GptOssConfig(
                **SIZES, **HEADS, head_dim=16, num_local_experts=2, num_experts_per_tok=1
            )
        ),
    }


LAYOUTS = tuple(_models())


@cache
def build(layout: str) -> nn.Module:
    """A model in evaluation mode, with weights so large that every head can be heard."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: nn.Module = _models()[layout]().eval().requires_grad_(False)
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2 and "embed" not in name:
                nn.init.normal_(parameter, std=0.2)
    return model


@cache
def sites_of(layout: str) -> tuple[GateSite, ...]:
    model = build(layout)
    shape = Shape(blocks=2, hidden=32, vocabulary=VOCABULARY)
    return gate_sites(find_anatomy(model, lambda: model(IDS, use_cache=False), shape))


def logits(layout: str, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        return build(layout)(ids, use_cache=False).logits
