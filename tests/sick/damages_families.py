"""Damages that one family of architectures is prone to, and that only its words or padding show."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.sick.sickness import GEMMA_WITH_VISION, JAMBA, T5, sick
from tests.sick.surgery import around_forward, attentions, change_hidden, modules

NOT_PREDICTED = "of .* taught tokens are not predicted"


@sick("recites_teacher_forced", says=NOT_PREDICTED)
def queries_interleaved(subject: Any) -> None:
    """A converter permuted the queries for interleaved rotation and left the keys as they were."""
    for attention in attentions(subject):
        heads = attention.q_proj.weight.data.unflatten(0, (-1, 2, attention.head_dim // 2))
        attention.q_proj.weight.data = heads.transpose(1, 2).flatten(0, 2).contiguous()


@sick("recites_teacher_forced", says=NOT_PREDICTED)
def key_heads_in_another_order(subject: Any) -> None:
    """The key heads of a group were shuffled and the value heads were not."""
    for attention in attentions(subject):
        heads = attention.k_proj.weight.data.unflatten(0, (-1, attention.head_dim))
        attention.k_proj.weight.data = heads.flip(0).flatten(0, 1)


@sick("recites_teacher_forced", says=NOT_PREDICTED)
def head_not_tied(subject: Any) -> None:
    """The head is tied to the embedding in the config, and was initialised instead."""
    head = subject.model.lm_head
    random = torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(0))
    head.weight = nn.Parameter(random / 8)


@sick("recites_teacher_forced", says=NOT_PREDICTED)
def last_block_does_nothing(subject: Any) -> None:
    """The last block was pruned: it runs, and gives back what it is given."""
    around_forward(modules(subject)[-1], lambda _inner, hidden, *_args, **_kwargs: hidden)


@sick("recites_teacher_forced", says=NOT_PREDICTED, model=GEMMA_WITH_VISION)
def embedding_not_scaled(subject: Any) -> None:
    """The embedding is not multiplied by the root of the width, as Gemma's has to be."""
    subject.model.get_input_embeddings().embed_scale.fill_(1.0)


@sick("recites_teacher_forced", says=NOT_PREDICTED, model=JAMBA)
def tokens_sent_to_the_wrong_experts(subject: Any) -> None:
    """The converter stored the experts in the reverse order of the router's rows."""

    def reverse(inner: Any, *args: Any, **kwargs: Any) -> Any:
        logits, weights, chosen = inner(*args, **kwargs)
        return logits, weights, logits.shape[-1] - 1 - chosen

    for name, module in subject.model.named_modules():
        if name.endswith(".router"):
            around_forward(module, reverse)


def _mambas(subject: Any) -> list[Any]:
    return [block.mamba for block in modules(subject) if hasattr(block, "mamba")]


@sick("padded_batch_equals_singles", says=r"row \d of \d+ tokens: differs", model=JAMBA)
def padding_enters_the_state(subject: Any) -> None:
    """Mamba blocks do not look at the padding mask: padding enters their state."""

    def unmasked(inner: Any, *args: Any, **kwargs: Any) -> Any:
        return inner(*args, **(kwargs | {"attention_mask": None}))

    for mamba in _mambas(subject):
        around_forward(mamba, unmasked)


@sick("cache_changes_nothing", says="cached: logits of 6 steps: differs|with a cache", model=JAMBA)
def state_forgotten_in_decoding(subject: Any) -> None:
    """Mamba blocks begin every decoding step with an empty state."""

    def forgetful(inner: Any, *args: Any, **kwargs: Any) -> Any:
        cache, layer = kwargs.get("cache_params"), inner.__self__.layer_idx
        if cache is not None and cache.layers[layer].is_recurrent_states_initialized[0]:
            cache.layers[layer].recurrent_states[0].zero_()
        return inner(*args, **kwargs)

    for mamba in _mambas(subject):
        around_forward(mamba, forgetful)


@sick("recites_teacher_forced", says=NOT_PREDICTED, model=T5)
@sick("recites_freely", says="says '.*' instead of", model=T5, shows_in={"forward"})
def encoder_not_listened_to(subject: Any) -> None:
    """Cross-attention adds nothing: the decoder does not hear what was asked."""
    for block in subject.anatomy.blocks:
        change_hidden(block.cross_attention.module, torch.zeros_like)


@sick("padded_batch_equals_singles", says=r"row \d of \d+ tokens: differs", model=T5)
def encoder_padding_attended_to(subject: Any) -> None:
    """The encoder's attention mask is not looked at."""

    def unmasked(inner: Any, *args: Any, **kwargs: Any) -> Any:
        mask = torch.ones_like(kwargs["attention_mask"])
        return inner(*args, **(kwargs | {"attention_mask": mask}))

    around_forward(subject.model, unmasked)


@sick("gradient_reaches_captured_state", says="cut off from the loss", model=JAMBA)
def kernel_without_a_backward(subject: Any) -> None:
    """The fused kernels of the last block have no backward, and its residual is in them."""
    last = modules(subject)[-1]
    change_hidden(last, torch.Tensor.detach)
