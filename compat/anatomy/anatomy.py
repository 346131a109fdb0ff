"""The parts of a loaded model: what hooks, gates and probes are attached to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from compat.anatomy.attention import Attention, FeedForward, find_attention, find_feed_forward
from compat.anatomy.blocks import Stack, find_stacks
from compat.anatomy.trace import Trace, trace_forward


class AnnouncedBlocks(Protocol):
    """How many blocks a config announces."""

    @property
    def blocks(self) -> int:
        """Decoder blocks."""

    @property
    def encoder_blocks(self) -> int | None:
        """Encoder blocks; None without an encoder."""

    @property
    def vision_blocks(self) -> int | None:
        """Blocks of the vision tower; None without one."""


@dataclass(frozen=True)
class Block:
    """One decoder block and its parts."""

    index: int
    path: str
    module: nn.Module
    attention: Attention | None
    """Self-attention; None in a block without (a Mamba block)."""
    cross_attention: Attention | None
    feed_forward: FeedForward | None


@dataclass(frozen=True)
class Anatomy:
    """Where the parts of a model are."""

    decoder: Stack
    encoder: Stack | None
    vision: Stack | None
    blocks: tuple[Block, ...]
    """The decoder's."""
    embedding: nn.Module
    head: nn.Module | None
    final_norm_path: str | None
    final_norm: nn.Module | None

    @property
    def embedding_rows(self) -> int:
        """Rows of the input embedding: one more than the largest token id."""
        weight: torch.Tensor = self.embedding.weight  # type: ignore[assignment]
        return int(weight.shape[0])


def find_anatomy(
    model: nn.Module, run: Callable[[], object], announced: AnnouncedBlocks
) -> Anatomy:
    """Trace one forward of `model` by `run` and find its parts.

    Raises BlocksNotFoundError where no module list can be its blocks.
    """
    trace = trace_forward(model, run)
    decoder, encoder, vision = find_stacks(
        model,
        trace,
        decoder=announced.blocks,
        encoder=announced.encoder_blocks,
        vision=announced.vision_blocks,
    )
    config = text_config(model)
    blocks = tuple(
        _block(index, decoder.block_path(index), module, trace, config)
        for index, module in enumerate(decoder.blocks)
    )
    norm_path = _final_norm_path(model, decoder, trace)
    return Anatomy(
        decoder=decoder,
        encoder=encoder,
        vision=vision,
        blocks=blocks,
        embedding=model.get_input_embeddings(),  # type: ignore[operator]
        head=model.get_output_embeddings(),  # type: ignore[operator]
        final_norm_path=norm_path,
        final_norm=None if norm_path is None else model.get_submodule(norm_path),
    )


def text_config(model: nn.Module) -> Any:
    """The config of the text decoder."""
    config: Any = model.config
    return config.get_text_config(decoder=True)


def _block(index: int, path: str, module: nn.Module, trace: Trace, config: Any) -> Block:
    attention = find_attention(module, path, trace, config)
    return Block(
        index=index,
        path=path,
        module=module,
        attention=attention[0] if attention else None,
        cross_attention=attention[1] if len(attention) > 1 else None,
        feed_forward=find_feed_forward(module, path, attention),
    )


def _final_norm_path(model: nn.Module, decoder: Stack, trace: Trace) -> str | None:
    """The first norm that ran after the last block."""
    last_block = trace.of(decoder.block_path(len(decoder.blocks) - 1))[0]
    for call in trace.calls:
        if call.entered > last_block.left:
            name = type(model.get_submodule(call.path)).__name__.lower()
            if "norm" in name:
                return call.path
    return None
