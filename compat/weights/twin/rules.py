"""Field-name rules: how small each width of a config becomes.

A rule is a pattern over a field's name and a function of its full-size value. Names decide, never
a model: a field that no rule knows keeps the model's own value.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from compat.weights.twin import sizes
from compat.weights.twin.plan import Plan

Rule = Callable[[int, Plan], int]


def _at_most(limit: int) -> Rule:
    return lambda full, plan: min(full, limit)


def _always(small: int) -> Rule:
    return lambda full, plan: small


def _window_start(full: int, plan: Plan) -> int:
    """The first block with a window, where windows begin after some blocks."""
    return plan.blocks if full >= (plan.full_blocks or 0) else min(full, plan.blocks - 1)


_RULES: tuple[tuple[str, Rule], ...] = (
    # depth
    (r"^(num_hidden_layers|num_layers|n_layers?|depth|num_blocks)$", lambda f, p: p.blocks),
    (r"^((en|de)coder_layers|num_(en|de)coder_layers)$", lambda f, p: p.blocks),
    (r"^(num_nextn_predict_layers|n_mtp_layers|num_adapter_layers|num_kv_shared_layers)$",
     _at_most(1)),
    (r"^max_window_layers$", _window_start),
    (r"^vision_feature_layer$", lambda f, p: max(min(f, sizes.LEAST_BLOCKS), -sizes.LEAST_BLOCKS)),
    # vocabulary and positions
    (r"^type_vocab_size$", lambda f, p: f),
    (r"(^|_)vocab_size$", _at_most(sizes.VOCABULARY)),
    (r"^original_max_position_embeddings$", _at_most(sizes.UNSTRETCHED_POSITIONS)),
    (r"^(max_position_embeddings|n_positions|n_ctx|max_seq_len|max_sequence_length|seq_length"
     r"|model_max_length|context_length|max_(source|target)_positions"
     r"|max_(en|de)coder_position_embeddings)$", lambda f, p: min(f, p.positions)),
    # residual width
    (r"^(word_embed_proj_dim|embedding_size|embedding_dim|emb_dim)$", lambda f, p: p.embedding),
    (r"^(hidden_size|d_model|n_embd|n_embed|dim|dim_model|hidden_dim|embed_dim|lru_width"
     r"|encoder_hidden_size|attention_hidden_size|projection_dim|backbone_hidden_size)$",
     lambda f, p: p.hidden),
    (r"^(hidden_size_per_layer_input|ple_embed_dim)$", _at_most(sizes.WIDTH)),
    # inner width
    (r"^(moe|expert)_(intermediate|ffn_hidden)_size$", _always(sizes.WIDTH)),
    (r"^(d_inner|mamba_d_ssm)$", lambda f, p: 2 * p.hidden),
    (r"(intermediate_size|intermediate_size_mlp|ffn_dim|d_ff|dff|dim_ff|feed_forward_size"
     r"|ffn_hidden_size|n_inner)$", _always(sizes.INNER)),
    # heads
    (r"^(num_key_value_heads|num_kv_heads|kv_n_heads|n_head_kv|num_query_groups"
     r"|swa_num_key_value_heads|attention_groups)$", lambda f, p: p.key_value_heads(f)),
    (r"^linear_num_key_heads$", _at_most(2)),
    (r"^linear_num_(value_)?heads$", _at_most(4)),
    (r"^(num_attention_heads|num_heads|n_heads?|(num_)?(en|de)coder_attention_heads"
     r"|attention_heads|swa_num_attention_heads|index_n_heads)$", lambda f, p: p.heads),
    (r"^(mamba_n_heads|mamba_num_heads)$", _at_most(8)),
    (r"^(mamba_d_head|mamba_head_dim|mamba_headdim)$", _always(16)),
    (r"^(mamba_n_groups|mamba_ngroups|n_groups)$", _always(1)),
    (r"^(qk_nope_head_dim|qk_rope_head_dim|v_head_dim|index_head_dim)$",
     _always(sizes.LATENT_HEAD)),
    (r"^qk_head_dim$", _always(2 * sizes.LATENT_HEAD)),
    (r"^(head_dim|d_kv|d_head|dim_head|kv_channels|attention_head_(dim|size)|swa_head_dim"
     r"|linear_(key_|value_)?head_dim|global_head_dim)$", lambda f, p: p.head),
    (r"^rotary_dim$", lambda f, p: p.rotary),
    # latent ranks and state spaces
    (r"^(q_lora_rank|kv_lora_rank|mamba_dt_rank|time_step_rank)$", _always(sizes.WIDTH)),
    (r"(_rank|lowrank)$", _at_most(8)),
    (r"^(mamba_d_state|state_size|ssm_state_size)$", _at_most(sizes.STATE)),
    (r"chunk_size$", _at_most(16)),
    # experts
    (r"^(num_experts|n_routed_experts|num_local_experts|moe_num_experts)$",
     _at_most(sizes.EXPERTS)),
    (r"^(num_experts_per_tok(en)?|experts_per_token|moe_topk|moe_k|moe_top_k)$",
     _at_most(sizes.EXPERTS_PER_TOKEN)),
    (r"^(n_shared_experts|num_shared_experts|moe_num_shared_experts)$", _at_most(2)),
    (r"^(n_group|topk_group|num_expert_group)$", _at_most(1)),
    # reach of attention
    (r"^(sliding_window|sliding_window_size|window_size|attention_window_size|local_attention"
     r"|attention_chunk_size)$", _at_most(sizes.WINDOW)),
    (r"^(local_radius|global_block_size|index_topk|num_global_tokens)$",
     _at_most(sizes.GLOBAL_REACH)),
    # images
    (r"^image_size$", _always(sizes.IMAGE_PATCHES * sizes.PATCH)),
    (r"^patch_size$", _always(sizes.PATCH)),
    (r"^mm_tokens_per_image$", _at_most(sizes.IMAGE_TOKENS)),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), rule) for pattern, rule in _RULES)


def rule_for(field: str) -> Rule | None:
    """The first rule that knows `field`."""
    return next((rule for pattern, rule in _COMPILED if pattern.search(field)), None)
