"""The parts of small random models of architectures that differ in what is hard to find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from compat.anatomy.anatomy import Anatomy, find_anatomy
from compat.anatomy.config_shape import announced_shape
from tests.remote_code.builder import write_checkpoint

WIDTHS = {"hidden_size": 64, "intermediate_size": 96, "vocab_size": 64, "num_attention_heads": 4}
LLAMA_LIKE = {**WIDTHS, "num_key_value_heads": 2}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}


class Built(NamedTuple):
    model: Any
    anatomy: Anatomy


def small(model_type: str, **config: Any) -> Any:
    settings = transformers.AutoConfig.for_model(model_type, **config)
    kind = AutoModelForSeq2SeqLM if settings.is_encoder_decoder else AutoModelForCausalLM
    return kind.from_config(settings).eval()


def anatomy_of(model: Any) -> Built:
    ids = torch.arange(5, 13)[None]
    inputs = {"input_ids": ids}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids

    def run() -> None:
        with torch.no_grad():
            model(**inputs, use_cache=False)

    return Built(model, find_anatomy(model, run, announced_shape(model.config)))


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: small("gpt2", n_embd=64, n_layer=3, n_head=4, vocab_size=64),
    "llama": lambda: small("llama", num_hidden_layers=3, **LLAMA_LIKE),
    "bart": lambda: small(
        "bart",
        d_model=64,
        vocab_size=64,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=96,
        decoder_ffn_dim=96,
    ),
    "t5": lambda: small(
        "t5", d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4, vocab_size=64
    ),
    "bert": lambda: small("bert", num_hidden_layers=3, is_decoder=True, **WIDTHS),
    "mamba": lambda: small("mamba", hidden_size=64, num_hidden_layers=3, vocab_size=64),
    "jamba": lambda: small(
        "jamba",
        num_hidden_layers=4,
        attn_layer_period=2,
        attn_layer_offset=1,
        expert_layer_period=2,
        expert_layer_offset=1,
        num_experts=4,
        use_mamba_kernels=False,
        mamba_dt_rank=4,
        **LLAMA_LIKE,
    ),
    "mixtral": lambda: small("mixtral", num_hidden_layers=2, num_local_experts=4, **LLAMA_LIKE),
    "deepseek_v2": lambda: small(
        "deepseek_v2",
        **WIDTHS,
        **EXPERTS,
        num_hidden_layers=3,
        num_key_value_heads=4,
        kv_lora_rank=16,
        q_lora_rank=None,
        qk_nope_head_dim=16,
        qk_rope_head_dim=8,
        v_head_dim=24,
        n_routed_experts=4,
        n_group=1,
        topk_group=1,
        topk_method="greedy",
        first_k_dense_replace=1,
    ),
}


@pytest.fixture(scope="module")
def built() -> Callable[[str], Built]:
    made: dict[str, Built] = {}

    def of(name: str) -> Built:
        if name not in made:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                made[name] = anatomy_of(ARCHITECTURES[name]())
        return made[name]

    return of


@pytest.mark.parametrize(
    ("name", "path", "block_class", "norm"),
    [
        ("gpt2", "transformer.h", "GPT2Block", "transformer.ln_f"),
        ("llama", "model.layers", "LlamaDecoderLayer", "model.norm"),
        ("bart", "model.decoder.layers", "BartDecoderLayer", None),
        ("t5", "decoder.block", "T5Block", "decoder.final_layer_norm"),
        ("bert", "bert.encoder.layer", "BertLayer", "cls.predictions.transform.LayerNorm"),
        ("mamba", "backbone.layers", "MambaBlock", "backbone.norm_f"),
        (
            "jamba",
            "model.layers",
            "JambaMambaDecoderLayer+JambaAttentionDecoderLayer",
            "model.final_layernorm",
        ),
        ("deepseek_v2", "model.layers", "DeepseekV2DecoderLayer", "model.norm"),
    ],
)
def test_the_decoder_stack_and_the_final_norm_are_found(
    name: str, path: str, block_class: str, norm: str | None, built: Callable[[str], Built]
) -> None:
    anatomy = built(name).anatomy
    assert (anatomy.decoder.path, anatomy.decoder.block_class) == (path, block_class)
    assert anatomy.final_norm_path == norm


@pytest.mark.parametrize(
    ("name", "encoder"), [("bart", "model.encoder.layers"), ("t5", "encoder.block")]
)
def test_an_encoder_is_found_beside_its_decoder(
    name: str, encoder: str, built: Callable[[str], Built]
) -> None:
    anatomy = built(name).anatomy
    assert anatomy.encoder is not None
    assert anatomy.encoder.path == encoder
    assert all(block.cross_attention for block in anatomy.blocks)


@pytest.mark.parametrize(
    ("name", "projection"),
    [
        ("gpt2", "transformer.h.1.attn.c_proj"),
        ("llama", "model.layers.1.self_attn.o_proj"),
        ("bart", "model.decoder.layers.1.self_attn.out_proj"),
        ("t5", "decoder.block.1.layer.0.SelfAttention.o"),
        ("bert", "bert.encoder.layer.1.attention.output.dense"),
        ("jamba", "model.layers.1.self_attn.o_proj"),
        ("deepseek_v2", "model.layers.1.self_attn.o_proj"),
    ],
)
def test_the_output_projection_is_found(
    name: str, projection: str, built: Callable[[str], Built]
) -> None:
    model, anatomy = built(name)
    attention = anatomy.blocks[1].attention
    assert attention is not None
    assert attention.projection_path == projection
    assert attention.projection is model.get_submodule(projection)
    assert (attention.heads, attention.projection_width) == (
        4,
        4 * (24 if name == "deepseek_v2" else 16),
    )


def test_heads_of_latent_attention_are_as_wide_as_their_values(
    built: Callable[[str], Built],
) -> None:
    (width,) = {block.attention.head_width for block in built("deepseek_v2").anatomy.blocks}
    assert width == 24


def test_cross_attention_is_not_taken_for_self_attention(built: Callable[[str], Built]) -> None:
    block = built("bart").anatomy.blocks[0]
    assert block.attention.path.endswith("self_attn")
    assert block.cross_attention.path.endswith("encoder_attn")


def test_a_model_without_attention_has_blocks_all_the_same(built: Callable[[str], Built]) -> None:
    anatomy = built("mamba").anatomy
    assert len(anatomy.blocks) == 3
    assert not any(block.attention for block in anatomy.blocks)


def test_attention_is_found_in_the_blocks_that_have_it(built: Callable[[str], Built]) -> None:
    blocks = built("jamba").anatomy.blocks
    assert [block.attention is not None for block in blocks] == [False, True, False, True]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("llama", ["none", "none", "none"]),
        ("mixtral", ["fused", "fused"]),
        ("deepseek_v2", ["none", "fused", "fused"]),
    ],
)
def test_experts_are_told_from_a_plain_feed_forward_part(
    name: str, kinds: list[str], built: Callable[[str], Built]
) -> None:
    blocks = built(name).anatomy.blocks
    assert [block.feed_forward.experts for block in blocks] == kinds


def test_the_embedding_and_the_head_are_found(built: Callable[[str], Built]) -> None:
    for name in ARCHITECTURES:
        anatomy = built(name).anatomy
        assert anatomy.embedding_rows == 64, name
        assert anatomy.head is not None, name


def test_code_of_its_own_is_found_by_structure(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "acorn")
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    anatomy = anatomy_of(model.eval()).anatomy
    assert anatomy.decoder.path == "transformer.encoder.layers"
    assert anatomy.decoder.block_class == "AcornBlock"
    assert anatomy.final_norm_path == "transformer.encoder.final_layernorm"
    block = anatomy.blocks[0]
    assert block.attention.projection_path == "transformer.encoder.layers.0.self_attention.dense"
    assert block.feed_forward.path == "transformer.encoder.layers.0.mlp"
