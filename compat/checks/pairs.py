"""Pairs: one model's states, carried into another's embeddings, are read there and can be taught.

These checks are about two models at once: their subject is a `PairSubject`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check
from compat.targets import Kind

if TYPE_CHECKING:
    from torch import Tensor, nn

    from compat.subject import PairSubject, Subject

STEPS = 10
"""Of training an adapter."""
LARGEST_RATIO = 2.0
"""Between the lengths of latents and of embeddings, either way."""
SMALLEST_GAIN = 1e-4
"""Of the loss, as a share of what it was."""
SMALLEST_MOVE = 1e-5
"""Of the logits, as a share of their range. The same latents move none, in any mode."""
READS = frozenset({"inputs-embeds"})


@check(Area.PAIRS, kind=Kind.PAIR)
def pair_has_its_parts(pair: PairSubject) -> None:
    """The receiver takes embeddings, and both have tokens to begin and end with; all is written."""
    for role, end in (("source", pair.source), ("receiver", pair.receiver)):
        for name, value in _described(end).items():
            pair.measure(f"{role}_{name}", value)
    assert pair.has("inputs-embeds"), f"{pair.receiver.spec.id} takes no inputs_embeds"
    for end in pair.both:
        tokens = end.tokenizer.bos_token_id, end.tokenizer.eos_token_id
        assert tokens != (None, None), (
            f"{end.spec.id} has neither a beginning nor an end of text to fall back on"
        )
    statistics = pair.statistics
    pair.measure("embedding_width", statistics.width)
    pair.measure("embedding_length", statistics.length)
    assert 0 < statistics.length < float("inf"), (
        f"the receiver's embeddings are {statistics.length} long: latents can't be made like them"
    )


def _described(end: Subject) -> dict[str, int | str | bool]:
    """What has to fit in a pair, by name."""
    shape, tokenizer = end.checkpoint.shape, end.tokenizer
    names = {"bos": tokenizer.bos_token, "eos": tokenizer.eos_token, "pad": tokenizer.pad_token}
    return {
        "width": shape.hidden,
        "vocabulary": shape.vocabulary,
        "special_tokens": ", ".join(f"{name} {token or 'none'}" for name, token in names.items()),
        "chat_template": bool(tokenizer.chat_template),
        "dtype": str(end.load_measures["dtype"]),
        "weights_bytes": _weights_bytes(end),
    }


def _weights_bytes(end: Subject) -> int:
    measured = end.load_measures["weights_bytes"]
    assert isinstance(measured, int)  # so the loader writes it
    return measured


@check(Area.PAIRS, kind=Kind.PAIR, needs=READS)
def adapter_carries_states(pair: PairSubject) -> None:
    """A linear adapter with a norm makes embeddings of the source's states, and they are read."""
    import torch

    adapter = pair.linear_adapter()
    with torch.no_grad():
        latents = adapter(pair.states)
    _assert_like_embeddings(pair, latents, count=pair.states.shape[1])
    _assert_read(pair, adapter, latents)


@check(Area.PAIRS, kind=Kind.PAIR, needs=READS)
def resampler_carries_states(pair: PairSubject) -> None:
    """A resampler makes as many embeddings of a source of any length, and they are read."""
    import torch

    resampler, states = pair.resampler(), pair.states
    count, length = len(resampler.latents), states.shape[1]
    lengths = sorted({1, length // 2, length})
    mask = torch.zeros(len(lengths), length, device=states.device)
    for row, each in enumerate(lengths):
        mask[row, :each] = 1
    # Whatever stands at padded positions must not matter.
    padded = torch.where(mask.unsqueeze(-1) == 1, states, 1e3)
    with torch.no_grad():
        singles = torch.cat([resampler(states[:, :each]) for each in lengths])
        together = resampler(padded, mask)
    _assert_like_embeddings(pair, singles[-1:], count=count)
    difference = float((together - singles).abs().max())
    assert difference <= 1e-4 * pair.statistics.length, (
        f"latents of padded sources differ from those of single ones by {difference:.1e}"
    )
    _assert_read(pair, resampler, singles[-1:])


def _assert_like_embeddings(pair: PairSubject, latents: Tensor, *, count: int) -> None:
    expected = (1, count, pair.statistics.width)
    assert latents.shape == expected, f"latents are {tuple(latents.shape)}, not {expected}"
    length = float(latents.float().square().sum(-1).mean().sqrt())
    ratio = length / pair.statistics.length
    pair.measure("latent_over_embedding_length", ratio)
    assert 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO, (
        f"latents are {ratio:.3g} times as long as the receiver's embeddings"
    )


def _assert_read(pair: PairSubject, adapter: nn.Module, latents: Tensor) -> None:
    """The receiver's logits are finite, and others behind another message of the source."""
    import torch

    logits = pair.read(latents)
    expected = (pair.message[1].shape[1], pair.receiver.run.logits.shape[-1])
    assert logits.shape == expected, f"logits are {tuple(logits.shape)}, not {expected}"
    assert bool(logits.isfinite().all()), "the receiver's logits hold NaN or infinity"
    with torch.no_grad():
        others = pair.read(adapter(pair.states.flip(1).roll(1, dims=-1)))
    moved = float((others - logits).abs().max() / (logits.max() - logits.min()))
    pair.measure("moved_by_other_states", moved)
    assert moved >= SMALLEST_MOVE, (
        f"other states of the source move the receiver's logits by {moved:.1e} of their range: "
        "it does not read the latents"
    )


@check(Area.PAIRS, kind=Kind.PAIR, needs=READS, memory="backward")
def adapter_carries_gradient(pair: PairSubject) -> None:
    """The receiver's loss has a gradient at every weight of the adapter, at none of a model's."""
    _assert_gradient(pair, pair.linear_adapter())


@check(Area.PAIRS, kind=Kind.PAIR, needs=READS, memory="backward")
def resampler_carries_gradient(pair: PairSubject) -> None:
    """The receiver's loss has a gradient at every weight of the resampler, at none of a model's."""
    _assert_gradient(pair, pair.resampler())


def _assert_gradient(pair: PairSubject, adapter: nn.Module) -> None:
    import torch

    with pair.frozen():
        loss = pair.loss(adapter)
        assert loss.requires_grad, "the loss has no gradient: the latents are cut off from it"
        torch.autograd.backward(loss)
        reached = [
            f"{end.spec.id} {name}"
            for end in pair.both
            for name, parameter in end.model.named_parameters()
            if parameter.grad is not None
        ]
    assert not reached, f"{len(reached)} frozen weights got a gradient, first {reached[0]}"
    lengths = {}
    for name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, f"no gradient comes to {name}"
        lengths[name] = float(parameter.grad.norm())
    pair.measure("gradient_norm", sum(length**2 for length in lengths.values()) ** 0.5)
    wrong = [
        f"{name} {length}" for name, length in lengths.items() if not 0 < length < float("inf")
    ]
    assert not wrong, f"gradients that are zero or not finite: {', '.join(wrong[:4])}"


@check(Area.PAIRS, kind=Kind.PAIR, needs=READS, memory="backward")
def adapter_learns(pair: PairSubject) -> None:
    """Ten steps of training the adapter make a message likelier that the receiver would not say."""
    _assert_learns(pair, pair.linear_adapter())


@check(Area.PAIRS, kind=Kind.PAIR, needs=READS, memory="backward")
def resampler_learns(pair: PairSubject) -> None:
    """Ten steps of training the resampler make that message likelier."""
    _assert_learns(pair, pair.resampler())


def _assert_learns(pair: PairSubject, adapter: nn.Module) -> None:
    from compat.pairs.training import train

    with pair.frozen():
        losses = train(adapter, lambda: pair.loss(adapter), steps=STEPS)
    before, after = losses[0], losses[-1]
    pair.measure("loss_before_nats", before)
    pair.measure("loss_after_nats", after)
    assert after < before * (1 - SMALLEST_GAIN), (
        f"{STEPS} steps take the loss from {before:.4f} to {after:.4f} nats a token"
    )


@check(Area.PAIRS, kind=Kind.PAIR, needs=READS, memory="backward")
def models_unchanged_by_training(pair: PairSubject) -> None:
    """After training an adapter both models have the same weights and give the same answers."""
    import torch

    from compat.pairs.training import train

    before = [end.logits(end.text.inputs) for end in pair.both]
    adapter = pair.linear_adapter()
    with pair.frozen():
        train(adapter, lambda: pair.loss(adapter), steps=1)
    for end, logits in zip(pair.both, before, strict=True):
        assert end.fingerprint_unchanged(), f"training changed the weights of {end.spec.id}"
        assert torch.equal(end.logits(end.text.inputs), logits), (
            f"{end.spec.id} gives other logits after the training, by the same weights"
        )


@check(Area.PAIRS, kind=Kind.PAIR)
def pair_memory_as_predicted(pair: PairSubject) -> None:
    """Both models, each with weights of its own, and the adapters take the bytes predicted."""
    from compat.anatomy.matrices import predicted_bytes
    from compat.pairs.sizes import linear_adapter_parameters, resampler_parameters

    shared = pair.shared_weights()
    assert not shared, f"{len(shared)} weights are one tensor in both models, first {shared[0]}"
    scheme = pair.mode.traits.quantization
    predicted = sum(predicted_bytes(end.model, end.dtype.itemsize, scheme) for end in pair.both)
    measured = sum(_weights_bytes(end) for end in pair.both)
    pair.measure("predicted_pair_bytes", predicted)
    pair.measure("pair_bytes", measured)
    assert abs(predicted - measured) <= 0.02 * measured, (
        f"the weights of both take {measured} bytes, {predicted} predicted"
    )
    widths = pair.states.shape[-1], pair.statistics.width
    for adapter, parameters in (
        (pair.linear_adapter(), linear_adapter_parameters(*widths)),
        (pair.resampler(), resampler_parameters(*widths)),
    ):
        name = type(adapter).__name__
        taken = sum(tensor.nbytes for tensor in adapter.state_dict().values())
        pair.measure(f"{name}_bytes", taken)
        assert taken == 4 * parameters, (
            f"the {name} takes {taken} bytes, {4 * parameters} predicted"
        )
