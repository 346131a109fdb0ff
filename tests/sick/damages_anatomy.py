"""Models whose parts are not where, as many or as wide as announced."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from compat.targets import Weights
from tests.sick.sickness import GEMMA_WITH_VISION, GPT2, LLAMA, T5, sick
from tests.sick.surgery import announce, around_forward, attentions, modules, put


@sick("blocks_found", says="BlocksNotFoundError: the config announces 3 decoder blocks")
@sick("widths_as_announced", says="BlocksNotFoundError")
def more_blocks_announced(subject: Any) -> None:
    """The config announces one block more than the checkpoint has."""
    announce(subject, blocks=subject.checkpoint.shape.blocks + 1)


@sick("blocks_found", says="BlocksNotFoundError", shows_in={"precision"})
@sick("blocks_run_in_order", says="BlocksNotFoundError", shows_in={"precision"})
def extra_copy_in_the_list(subject: Any) -> None:
    """The block list holds a copy of the last block that never runs."""
    blocks = subject.model.model.layers
    blocks.append(copy.deepcopy(blocks[-1]))


@sick("blocks_found", says="BlocksNotFoundError", model=GPT2)
@sick("blocks_run_in_order", says="BlocksNotFoundError", model=GPT2)
def first_block_skipped(subject: Any) -> None:
    """The first block is left out of the forward; its list still holds it."""
    decoder = subject.model.transformer
    blocks = decoder.h

    def without_the_first(inner: Any, *args: Any, **kwargs: Any) -> Any:
        decoder._modules["h"] = blocks[1:]
        try:
            return inner(*args, **kwargs)
        finally:
            decoder._modules["h"] = blocks

    around_forward(decoder, without_the_first)


@sick("blocks_found", says="BlocksNotFoundError")
@sick("blocks_run_in_order", says="BlocksNotFoundError")
def last_block_runs_twice(subject: Any) -> None:
    """The last block is run twice in a forward."""
    decoder = subject.model.model
    blocks = decoder.layers

    def with_the_last_again(inner: Any, *args: Any, **kwargs: Any) -> Any:
        decoder._modules["layers"] = [*blocks, blocks[-1]]
        decoder.config.num_hidden_layers += 1
        try:
            return inner(*args, **kwargs)
        finally:
            decoder._modules["layers"] = blocks
            decoder.config.num_hidden_layers -= 1

    around_forward(decoder, with_the_last_again)


@sick("blocks_found", says="decoder blocks are {'RecompiledBlock'}, the registry says")
def blocks_of_a_foreign_class(subject: Any) -> None:
    """A framework has put blocks of its own class in the place of the model's."""
    for block in modules(subject):
        block.__class__ = type("RecompiledBlock", (type(block),), {})


@sick("blocks_found", says="the checkpoint announces 2 decoder blocks, the registry says 16")
def checkpoint_of_another_size(subject: Any) -> None:
    """What the hub holds under the model's name is a smaller model."""
    subject.checkpoint = replace(subject.checkpoint, weights=Weights.HUB)


@sick("blocks_found", says="BlocksNotFoundError: the config announces 3 encoder blocks", model=T5)
def more_encoder_blocks_announced(subject: Any) -> None:
    """The config announces one encoder block more than the checkpoint has."""
    announce(subject, encoder_blocks=subject.checkpoint.shape.encoder_blocks + 1)


@sick(
    "blocks_found",
    says="encoder blocks are .*, the registry says {'T5Block'}",
    model=T5,
    shows_in={"persistence"},
)
def encoder_blocks_called_past_their_hooks(subject: Any) -> None:
    """The encoder's blocks run by their forward, so that no hook on them fires."""
    blocks = subject.model.encoder.block
    for index, block in enumerate(blocks):
        blocks[index] = _Unhooked(block)


class _Unhooked(nn.Module):
    """Stands in a list for a block, and runs it in a way that no hook sees."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.block(*args, **kwargs)


@sick("blocks_found", says="no idle module list of the 2 announced", model=GEMMA_WITH_VISION)
def vision_blocks_are_no_list(subject: Any) -> None:
    """The vision tower keeps its blocks in a sequence, where nobody can address them as a list."""
    stack = subject.anatomy.vision
    put(subject.model, stack.path, nn.Sequential(*stack.blocks))


@sick("blocks_run_in_order", says=r"ran in the order \[0\]")
def last_block_skipped_on_long_inputs(subject: Any) -> None:
    """A layer-skipping model leaves the last block out where the input is long."""

    def skip_if_long(inner: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs["input_ids"].shape[1] <= 16:
            return inner(*args, **kwargs)
        decoder = subject.model.model
        held = decoder.config.num_hidden_layers
        decoder.config.num_hidden_layers = held - 1
        try:
            return inner(*args, **kwargs)
        finally:
            decoder.config.num_hidden_layers = held

    around_forward(subject.model, skip_if_long)


@sick("widths_as_announced", says="block 0 puts out a width of 64, 65 announced")
def wrong_hidden_width_announced(subject: Any) -> None:
    """The config announces another hidden width than the blocks put out."""
    announce(subject, hidden=subject.checkpoint.shape.hidden + 1)


@sick("widths_as_announced", says="520 embedding rows, 512 announced")
def embedding_resized(subject: Any) -> None:
    """The embedding was resized for added tokens, and the config was not."""
    subject.model.resize_token_embeddings(520)


@sick("widths_as_announced", says=r"attn has \d heads, \d announced", model=GPT2)
def heads_merged(subject: Any) -> None:
    """Two heads at a time were merged into one of double width, and the config was not told."""
    for attention in attentions(subject):
        attention.num_heads //= 2
        attention.head_dim *= 2


@sick("widths_as_announced", says=r"has heads of width \d+, \d+ announced")
def wrong_head_width_announced(subject: Any) -> None:
    """The config announces a head width that the projections were not built by."""
    announce(subject, head=subject.checkpoint.shape.head * 2)


@sick(
    "cached_heads_as_announced",
    says=r"the cache holds \d heads, \d announced",
    shows_in={"precision", "persistence"},
)
def grouped_heads_expanded(subject: Any) -> None:
    """The converter repeated each key and value head for its group: the cache is as many times
    larger as a group has heads.
    """
    for attention in attentions(subject):
        groups, width = attention.num_key_value_groups, attention.head_dim
        for projection in (attention.k_proj, attention.v_proj):
            heads = projection.weight.data.unflatten(0, (-1, width))
            projection.weight.data = heads.repeat_interleave(groups, 0).flatten(0, 1)
        attention.num_key_value_groups = 1


@sick("parts_found", says="not found: language-model head")
def head_not_told(subject: Any) -> None:
    """The model does not say which of its modules is the language-model head."""
    subject.model.get_output_embeddings = lambda: None


@sick("parts_found", says=r"not found: attention in any block")
def attention_of_an_unknown_class(subject: Any) -> None:
    """Attention was compiled into modules whose class is called otherwise."""
    for attention in attentions(subject):
        attention.__class__ = type("FusedMixer", (type(attention),), {})


@sick(
    "parts_found",
    says=r"not found: output projection of model.layers.0.self_attn",
    model=LLAMA,
    shows_in={"persistence"},
)
def projection_hidden_behind_a_function(subject: Any) -> None:
    """The output projection is a function over a bare parameter: nothing can be hooked there."""
    for attention in attentions(subject):
        put(attention, "o_proj", _Functional(attention.o_proj.weight))


class _Functional(nn.Module):
    """Multiplies by a matrix that it keeps under another name than a linear layer does."""

    def __init__(self, matrix: nn.Parameter) -> None:
        super().__init__()
        self.matrix = matrix

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(hidden, self.matrix)


@sick(
    "parts_found",
    says=r"not found: cross-attention of decoder.block.0",
    model=T5,
    shows_in={"precision", "persistence"},
)
def decoder_does_not_look_at_the_encoder(subject: Any) -> None:
    """Cross-attention was left out of the decoder."""
    for block in modules(subject):
        del block.layer[1]
        block.is_decoder = False


@sick(
    "parts_found",
    says=r"not found: feed-forward part of model.layers.0",
    shows_in={"precision", "persistence"},
)
def feed_forward_left_out(subject: Any) -> None:
    """The feed-forward parts were replaced by nothing."""
    for block in modules(subject):
        block.mlp = nn.Identity()
