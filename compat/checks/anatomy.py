"""Anatomy: the parts are where they are said to be, and as many and as wide as announced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from compat.checks.registry import Area, check
from compat.targets import Weights

if TYPE_CHECKING:
    from compat.anatomy.anatomy import Block
    from compat.subject import Subject


@check(Area.ANATOMY)
def blocks_found(subject: Subject) -> None:
    """As many decoder, encoder and vision blocks are found as announced, of the known class."""
    anatomy, shape, spec = subject.anatomy, subject.checkpoint.shape, subject.spec
    original = subject.checkpoint.weights is Weights.HUB
    subject.measure("blocks", len(anatomy.blocks))
    subject.measure("blocks_path", anatomy.decoder.path)
    subject.measure("block_class", anatomy.decoder.block_class)
    for kind, stack, announced, facts in (
        ("decoder", anatomy.decoder, shape.blocks, spec.blocks),
        ("encoder", anatomy.encoder, shape.encoder_blocks, spec.encoder),
        ("vision", anatomy.vision, shape.vision_blocks, spec.vision),
    ):
        # The anatomy raises where it does not find the announced number of them.
        if stack is None or facts is None:
            continue
        found = set(stack.block_class.split("+"))
        # The config in a given folder says nothing of classes.
        assert not facts.block_class or found <= facts.classes, (
            f"{kind} blocks are {found - facts.classes}, the registry says {set(facts.classes)}"
        )
        assert not original or announced == facts.count, (
            f"the checkpoint announces {announced} {kind} blocks, the registry says {facts.count}"
        )


@check(Area.ANATOMY)
def blocks_run_in_order(subject: Subject) -> None:
    """Each decoder block runs exactly once in a forward, the first one first."""
    with subject.count_block_calls() as order:
        subject.forward(subject.text.inputs)
    expected = list(range(subject.checkpoint.shape.blocks))
    assert order == expected, f"blocks ran in the order {order}"


@check(Area.ANATOMY)
def widths_as_announced(subject: Subject) -> None:
    """Hidden width, heads, head width and vocabulary are what the config announces."""
    shape = subject.checkpoint.shape
    for index, hidden in enumerate(subject.run.blocks):
        assert hidden.shape[-1] == shape.hidden, (
            f"block {index} puts out a width of {hidden.shape[-1]}, {shape.hidden} announced"
        )
    rows = subject.anatomy.embedding_rows
    assert rows == shape.vocabulary, f"{rows} embedding rows, {shape.vocabulary} announced"
    for block in subject.anatomy.blocks:
        if block.attention is None or shape.heads is None:
            continue
        assert block.attention.heads == shape.heads, (
            f"{block.attention.path} has {block.attention.heads} heads, {shape.heads} announced"
        )
        if shape.head is not None:
            assert block.attention.head_width == shape.head, (
                f"{block.attention.path} has heads of width {block.attention.head_width}, "
                f"{shape.head} announced"
            )


@check(Area.ANATOMY, needs={"attention"})
def cached_heads_as_announced(subject: Subject) -> None:
    """The KV cache holds as many key-value heads as the config announces."""
    announced = subject.checkpoint.shape.key_value_heads
    cached = subject.cached_key_value_heads
    subject.measure("cached_key_value_heads", cached)
    assert cached == announced, f"the cache holds {cached} heads, {announced} announced"


@check(Area.ANATOMY)
def parts_found(subject: Subject) -> None:
    """Embedding, head, attention, its output projection and the feed-forward part are found."""
    anatomy = subject.anatomy
    missing = [] if anatomy.head is not None else ["language-model head"]
    with_attention = [block for block in anatomy.blocks if block.attention is not None]
    if subject.checkpoint.shape.heads is not None and not with_attention:
        missing.append("attention in any block")
    for block in with_attention:
        assert block.attention is not None
        if block.attention.projection is None:
            missing.append(f"output projection of {block.attention.path}")
        if subject.has_encoder and block.cross_attention is None:
            missing.append(f"cross-attention of {block.path}")
    missing += [f"feed-forward part of {b.path}" for b in anatomy.blocks if b.feed_forward is None]
    experts = [block.feed_forward.experts for block in anatomy.blocks if block.feed_forward]
    subject.measure("attention_blocks", len(with_attention))
    subject.measure("experts", next((kind for kind in experts if kind != "none"), "none"))
    subject.measure("final_norm", anatomy.final_norm_path or "none")
    for name, path in _paths_in_a_block(anatomy.blocks):
        subject.measure(name, path)
    assert not missing, f"not found: {', '.join(missing)}"


def _paths_in_a_block(blocks: Iterable[Block]) -> Iterator[tuple[str, str]]:
    """Where hooks find the parts of a block: each by its path in the first block that has it."""
    found: dict[str, str] = {}
    for block in blocks:
        paths = (
            ("attention_path", block.attention and block.attention.path),
            ("projection_path", block.attention and block.attention.projection_path),
            ("cross_attention_path", block.cross_attention and block.cross_attention.path),
            # The largest part of a block without attention is what stands in its place: a mixer.
            (
                "feed_forward_path",
                block.attention and block.feed_forward and block.feed_forward.path,
            ),
        )
        for name, path in paths:
            if path:
                found.setdefault(name, path.removeprefix(f"{block.path}."))
    yield from found.items()
