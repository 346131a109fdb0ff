"""Gates: an open one changes nothing, a closed one removes exactly its own head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from compat.checks.drawing import for_any
from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Subject

STEPS = 3
"""Tokens generated under gates."""
READ = 16
"""Tokens read under gates that are drawn."""
SHUT_OR_OPEN = (1.0, 0.0)
HALF_OPEN = 0.5
"""A product by it is exact wherever it is made, but for the smallest numbers of float16."""


@check(Area.GATES, needs={"attention"})
def open_gates_are_exact(subject: Subject) -> None:
    """An open gate on every head changes not one bit, in a forward and in generation."""
    from compat.interventions import open_gates

    inputs = subject.text.inputs
    before = subject.logits(inputs)
    with subject.gate(open_gates(subject.gate_sites)):
        opened = subject.logits(inputs)
        said = subject.generate(subject.text.prompt(), new_tokens=STEPS)
    different = int((opened != before).sum())
    assert different == 0, f"{different} of {before.numel()} logits differ under open gates"
    different = int((said.logits != subject.greedy.logits[:, :STEPS]).sum())
    assert different == 0, f"{different} logits of {STEPS} decoding steps differ under open gates"


@check(Area.GATES, needs={"attention"})
def closed_gates_remove_their_heads(subject: Subject) -> None:
    """Closing a head's gate is, bit for bit, zeroing that head inside the attention function."""
    inputs = subject.text.inputs
    before = subject.logits(inputs)
    for heads, gates in _patterns(subject):
        with subject.scale_heads(gates) as seen:
            expected = subject.logits(inputs)
        with subject.gate(_where_seen(gates, seen)):
            closed = subject.logits(inputs)
        different = int((closed != expected).sum())
        assert different == 0, (
            f"heads with {heads} closed: {different} of {closed.numel()} logits differ from those "
            f"of heads zeroed inside the attention, by up to "
            f"{float((closed - expected).abs().max()):.1e}"
        )
        assert bool((closed != before).any()), f"heads with {heads} closed move no logit"
    subject.measure("gated_attentions", sum(map(bool, seen)))
    subject.measure("attentions_not_seen", seen.count(0))


@check(Area.GATES, needs={"attention"})
def closed_gates_hold_in_generation(subject: Subject) -> None:
    """Closed gates hold at every decoding step, as heads zeroed inside the attention do."""
    prompt = subject.text.prompt()
    _, gates = next(_patterns(subject))
    with subject.scale_heads(gates) as seen:
        expected = subject.generate(prompt, new_tokens=STEPS)
    with subject.gate(_where_seen(gates, seen)):
        closed = subject.generate(prompt, new_tokens=STEPS)
    wrong = [
        step
        for step in range(STEPS)
        if bool((closed.logits[:, step] != expected.logits[:, step]).any())
    ]
    assert not wrong, f"logits differ from those of zeroed heads in decoding steps {wrong}"


@check(Area.GATES, needs={"attention"})
def any_gates_scale_their_heads(subject: Subject) -> None:
    """Any mixture of closed, half open and open gates is, bit for bit, the same one inside."""
    import torch
    from hypothesis import strategies

    inputs = subject.text.inputs.first(READ)
    sites = subject.gate_sites
    heads = sum(site.heads for site in sites)
    openings = SHUT_OR_OPEN if subject.dtype is torch.float16 else (*SHUT_OR_OPEN, HALF_OPEN)
    gates = strategies.lists(strategies.sampled_from(openings), min_size=heads, max_size=heads)

    def scales_its_heads(drawn: list[float]) -> None:
        own = list(torch.split(torch.tensor(drawn), [site.heads for site in sites]))
        with subject.scale_heads(own) as seen:
            expected = subject.logits(inputs)
        with subject.gate(_where_seen(own, seen)):
            gated = subject.logits(inputs)
        different = int((gated != expected).sum())
        assert different == 0, f"gates of {drawn}: {different} of {gated.numel()} logits differ"

    for_any(subject, few=3)(scales_its_heads, gates)


@check(Area.GATES, needs={"attention"})
def gates_leave_nothing_behind(subject: Subject) -> None:
    """Gates add no parameter and no buffer, and closed ones are undone to the last bit."""
    import torch

    inputs = subject.text.inputs
    before, named = subject.logits(inputs), _tensors(subject)
    with subject.gate([torch.zeros(site.heads) for site in subject.gate_sites]):
        added = sorted(_tensors(subject) ^ named)
        subject.forward(inputs)
    assert not added, f"gates add to or take from the model: {', '.join(added[:4])}"
    after = subject.logits(inputs)
    assert torch.equal(after, before), "logits are not what they were before the gates"


def _patterns(subject: Subject) -> Iterator[tuple[str, list[Tensor]]]:
    """Gates that tell every head from every other, in as few forwards as that takes.

    Each pattern closes, in all attentions at once, the heads whose number has a certain bit set;
    the first one closes those that have the lowest not set, among which is head 0. Were any two
    heads confused, or any gate without effect, one of the patterns would show it.
    """
    import torch

    sites = subject.gate_sites
    bits = max((site.heads - 1).bit_length() for site in sites)
    numbers = [torch.arange(site.heads) for site in sites]
    yield "an even number", [(number & 1).float() for number in numbers]
    for bit in range(bits):
        gates = [1 - (number >> bit & 1).float() for number in numbers]
        yield f"bit {bit} of their number set", gates


def _where_seen(gates: list[Tensor], seen: list[int]) -> list[Tensor]:
    """The gates of attentions whose heads can be seen inside; the others are left open.

    Linear attention shows no heads, so that there is nothing to hold its gates against. Raises
    NotApplicable where none can be seen.
    """
    import torch

    from compat.outcomes import NotApplicable

    if not any(seen):
        raise NotApplicable("every attention is computed by a kernel that can't be looked into")
    return [own if count else torch.ones_like(own) for own, count in zip(gates, seen, strict=True)]


def _tensors(subject: Subject) -> set[str]:
    """Names and shapes of all parameters and buffers."""
    model = subject.model
    return {
        f"{name} {tuple(tensor.shape)}"
        for tensors in (model.named_parameters(), model.named_buffers())
        for name, tensor in tensors
    }
