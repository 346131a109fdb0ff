"""Hooks: what is captured is what the model computes, and what is changed takes effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Subject


@check(Area.HOOKS)
def blocks_fire_at_every_step(subject: Subject) -> None:
    """Each decoder block fires once in the prefill and once in every decoding step."""
    steps = 4
    with subject.count_block_calls() as order:
        subject.generate(subject.text.prompt(), new_tokens=steps)
    expected = list(range(subject.checkpoint.shape.blocks)) * steps
    assert order == expected, f"{steps} steps ran the blocks in the order {order}"


@check(Area.HOOKS, needs={"hidden-states"})
def captured_equals_hidden_states(subject: Subject) -> None:
    """What a hook captures is what `output_hidden_states` reports, but for the final norm."""
    import torch

    states = subject.run.hidden_states
    assert states is not None
    blocks = subject.run.blocks
    for index, block in enumerate(blocks[:-1]):
        reported = states[index + 1].float()
        assert torch.equal(block, reported), (
            f"block {index}: captured and reported differ by up to "
            f"{float((block - reported).abs().max()):.2e}"
        )
    last, reported = blocks[-1], states[-1].float()
    if not torch.equal(last, reported):
        normed = subject.final_norm(last)
        subject.assert_same(normed, reported, "the last block's output after the final norm")


@check(Area.HOOKS)
def identity_hook_is_exact(subject: Subject) -> None:
    """A hook that returns what it was given, on every block, changes not one bit."""
    from contextlib import ExitStack

    inputs = subject.text.inputs
    before = subject.logits(inputs)
    with ExitStack() as hooks:
        for block in subject.anatomy.blocks:
            hooks.enter_context(subject.edit(block.index, lambda hidden: hidden.clone()))
        hooked = subject.logits(inputs)
    different = int((hooked != before).sum())
    assert different == 0, f"{different} of {before.numel()} logits differ under an identity hook"


@check(Area.HOOKS)
def steering_takes_effect_and_is_undone(subject: Subject) -> None:
    """A direction added at every block changes later logits, no earlier one, and is undone."""
    import torch

    inputs = subject.text.inputs
    start = inputs.length // 2
    before = subject.logits(inputs)[0]
    for index, block in enumerate(subject.run.blocks):
        generator = torch.Generator().manual_seed(index)
        direction = torch.randn(block.shape[-1], generator=generator)
        direction *= block[start:].norm(dim=-1).mean() / direction.norm()
        with subject.steer(index, direction, start=start):
            steered = subject.logits(inputs)[0]
        subject.assert_same(steered[:start], before[:start], f"block {index}: earlier logits")
        moved = float((steered[start:] - before[start:]).abs().max())
        assert moved > subject.tolerance * float(before.max() - before.min()), (
            f"block {index}: a direction as long as the hidden state moves no logit "
            f"by more than {moved:.1e}"
        )
    after = subject.logits(inputs)[0]
    assert torch.equal(after, before), "logits are not what they were after the steering ended"


@check(Area.HOOKS)
def patching_carries_the_run_over(subject: Subject) -> None:
    """The last block's output of run B put into run A gives the logits of run B."""
    a = subject.text.inputs
    b = a.with_ids(a.ids.roll(1, dims=1))
    with subject.capture() as captured:
        expected = subject.logits(b)
    last = subject.anatomy.blocks[-1].index
    with subject.patch(last, captured[last][0]):
        patched = subject.logits(a)
    assert float((subject.logits(a) - expected).abs().max()) > 0, "runs A and B do not differ"
    subject.assert_same(patched, expected, "logits of A patched with B")


@check(Area.HOOKS, memory="backward")
def gradient_reaches_captured_state(subject: Subject) -> None:
    """The loss has a gradient at a captured state, and it is the slope that the loss shows."""
    import torch
    from torch.nn.functional import cross_entropy

    block = len(subject.anatomy.blocks) // 2
    labels = subject.text.labels[0]
    captured: list[Tensor] = []

    def leaf(hidden: Tensor) -> Tensor:
        captured.append(hidden.detach().requires_grad_(True))
        return captured[-1]

    with subject.edit(block, leaf):
        logits = subject.logits(subject.text.inputs, grad=True)[0]
    loss = cross_entropy(logits, labels)
    cut_off = "the captured state is cut off from the loss"
    assert loss.requires_grad, f"the loss has no gradient: {cut_off}"
    (gradient,) = torch.autograd.grad(loss, captured[0], allow_unused=True)
    assert gradient is not None, f"the gradient does not come so far: {cut_off}"
    assert bool(gradient.isfinite().all()), "the gradient holds NaN or infinity"
    length = float(gradient.float().norm())
    subject.measure("gradient_norm", length)
    assert length > 0, f"the gradient is zero: {cut_off}"
    if subject.rounds_activations:
        return
    slope = _slope(subject, block, gradient, labels)
    subject.measure("slope_over_gradient", slope / length)
    assert abs(slope - length) <= 0.1 * length, (
        f"along the gradient the loss rises by {slope:.4f} a unit, the gradient says {length:.4f}"
    )


def _slope(subject: Subject, block: int, gradient: Tensor, labels: Tensor) -> float:
    """The loss's slope along its gradient at a block's hidden state."""
    from torch.nn.functional import cross_entropy

    from compat.subject.slope import slope_along

    length = float(gradient.float().norm())

    def loss(step: float) -> float:
        with subject.edit(block, (gradient * (step / length)).add):
            return float(cross_entropy(subject.logits(subject.text.inputs)[0], labels))

    return slope_along(loss, float(subject.run.blocks[block].norm(dim=-1).mean()), length)


@check(Area.HOOKS)
def usable_block_found(subject: Subject) -> None:
    """A block whose states are finite is found: the last, second-last, middle or first."""
    from compat.subject.calibration import usable_blocks

    blocks = subject.run.blocks
    broken = [i for i, block in enumerate(blocks) if not bool(block.isfinite().all())]
    candidates = list(usable_blocks(len(blocks)))
    usable = next((index for index in candidates if index not in broken), None)
    subject.measure("blocks_with_nan", ", ".join(map(str, broken)) or "none")
    assert usable is not None, f"blocks {candidates} all hold NaN or infinity"
    subject.measure("usable_block", usable)
