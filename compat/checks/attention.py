"""Attention: the same by every implementation, and on nothing that is to be hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Inputs, Subject


@check(Area.ATTENTION, needs={"attention"})
def attention_implementations_agree(subject: Subject) -> None:
    """Every attention implementation that runs here gives the same logits, and is undone."""
    from compat.outcomes import NotApplicable
    from compat.subject.attention import implementation, implementations, other_implementations

    inputs = subject.batch(subject.prompts())
    others = other_implementations(subject.model, subject.device)
    if not others:
        raise NotApplicable("the model has one attention implementation here")
    before, parts = subject.logits(inputs), implementations(subject.model)
    text = _text(inputs, before)
    for name in others:
        with implementation(subject.model, name):
            logits = subject.logits(inputs)
        difference = subject.assert_close(logits[text], before[text], f"logits by {name}")
        subject.measure(f"{name}_relative_difference", difference)
        assert implementations(subject.model) == parts, f"after {name} the former one is not back"
        different = int((subject.logits(inputs) != before).sum())
        assert different == 0, f"after {name} {different} logits are not what they were"


def _text(inputs: Inputs, logits: Tensor) -> Tensor:
    """Which positions of a batch's logits, (batch, length), are no padding."""
    return inputs.mask.bool().to(logits.device)


@check(Area.ATTENTION, needs={"attention"})
def attention_weights_sum_to_one(subject: Subject) -> None:
    """Each attending block reports weights for every head, and each query's sum to one."""
    from compat.subject.attention import has_sinks

    reported = subject.attention
    own = [block for block in subject.anatomy.blocks if block.attention]
    assert len(reported.weights) == len(own), (
        f"{len(reported.weights)} blocks report attention weights, {len(own)} attend"
    )
    text = _text(reported.inputs, reported.logits)
    plain = subject.logits(reported.inputs)
    subject.assert_close(reported.logits[text], plain[text], "logits beside attention weights")
    for block, weights in zip(own, reported.weights, strict=True):
        assert block.attention is not None
        heads = weights.shape[1]
        assert heads == block.attention.heads, (
            f"block {block.index}: weights of {heads} heads, {block.attention.heads} announced"
        )
        sums = weights.sum(-1).movedim(1, -1)[reported.inputs.mask.bool()]
        least = 0.0 if has_sinks(block.attention.module) else 1 - subject.tolerance
        low, high = float(sums.min()), float(sums.max())
        assert least <= low <= high <= 1 + subject.tolerance, (
            f"block {block.index}: a query's weights sum to {low:.4f}, another's to {high:.4f}"
        )
    for index, weights in enumerate(reported.cross):
        off = float((weights.sum(-1) - 1).abs().max())
        assert off <= subject.tolerance, f"cross-attention {index}: weights sum to 1 +- {off:.4f}"


@check(Area.ATTENTION, needs={"attention"})
def attention_weights_respect_masks(subject: Subject) -> None:
    """No weight falls on a later token, on padding, or outside a block's sliding window."""
    from compat.subject.attention import window_of

    reported = subject.attention
    mask = reported.inputs.mask.bool()
    length = mask.shape[1]
    back = _distances(length)
    own = [block for block in subject.anatomy.blocks if block.attention]
    for block, weights in zip(own, reported.weights, strict=True):
        # Where nothing may be seen, at padding, a softmax spreads over everything.
        rows = weights.movedim(1, 2)[mask]
        hidden = {"later tokens": back < 0, "padding": ~mask[:, None].expand(-1, length, -1)}
        window = window_of(subject.model, block)
        if window is not None:
            hidden[f"tokens outside the window of {window}"] = back >= window
        for what, where in hidden.items():
            chosen = where.expand(len(mask), length, length)[mask]
            most = float((rows * chosen[:, None]).abs().max())
            assert most == 0, f"block {block.index}: a weight of {most:.1e} on {what}"
    encoder_mask = reported.inputs.encoder_mask
    for index, weights in enumerate(reported.cross):
        assert encoder_mask is not None
        most = float((weights * ~encoder_mask.bool()[:, None, None]).abs().max())
        assert most == 0, f"cross-attention {index}: a weight of {most:.1e} on padding"


def _distances(length: int) -> Tensor:
    """How far back each key is from each query, (1, queries, keys)."""
    import torch

    positions = torch.arange(length)
    return (positions[:, None] - positions)[None]
