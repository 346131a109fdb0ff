"""Embeds: what is fed in the place of tokens, and what can be learned to be fed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Inputs, Subject

STEPS = 4
"""Tokens generated."""

VECTORS = 4
"""Length of the soft prompt."""

LEARNING_STEPS = 10
LEARNING_RATE = 0.03
"""Of Adam, as a share of the size of an embedded token's features."""

POSITIONS = 16
"""How much of the text stands behind the soft prompt."""


@check(Area.EMBEDS, needs={"inputs-embeds"})
def embeds_equal_ids(subject: Subject) -> None:
    """Embedded tokens give bit for bit the logits that their ids give, in a padded batch too."""
    text, batch = subject.text.inputs, subject.batch(subject.prompts())
    for what, inputs in (("the text", text), ("a padded batch", batch)):
        _require_equal(subject, inputs, what)
    told_nothing = subject.logits_of_embeds_alone(text, subject.embed(text))
    subject.assert_close(told_nothing, subject.logits(text), "without mask and positions: logits")


@check(Area.EMBEDS, needs={"inputs-embeds", "vision"})
def embeds_equal_ids_beside_an_image(subject: Subject) -> None:
    """Beside an image, too, embedded tokens give bit for bit the logits that their ids give."""
    _require_equal(subject, subject.image_inputs(0), "an image and a text")


def _require_equal(subject: Subject, inputs: Inputs, what: str) -> None:
    by_ids = subject.logits(inputs)
    by_embeds = subject.logits_of_embeds(inputs, subject.embed(inputs))
    different = int((by_embeds != by_ids).sum())
    assert different == 0, (
        f"{what}: {different} of {by_ids.numel()} logits differ, "
        f"by up to {float((by_embeds - by_ids).abs().max()):.1e}"
    )


@check(Area.EMBEDS, needs={"inputs-embeds"})
def embeds_generate_as_ids(subject: Subject) -> None:
    """Embedded prompts in a padded batch are continued as their ids are, bit for bit."""
    inputs = subject.batch(subject.prompts())
    by_ids = subject.generate(inputs, new_tokens=STEPS)
    by_embeds = subject.generate(inputs, new_tokens=STEPS, embeds=subject.embed(inputs))
    ids, embeds = by_ids.tokens.tolist(), by_embeds.tokens.tolist()
    assert embeds == ids, f"ids are continued by {ids}, their embeddings by {embeds}"
    different = int((by_embeds.logits != by_ids.logits).sum())
    assert different == 0, f"the same tokens, and {different} logits that differ"


@check(Area.EMBEDS, needs={"inputs-embeds"}, memory="backward")
def gradient_reaches_soft_prompt(subject: Subject) -> None:
    """A soft prompt before frozen weights gets the loss's slope for a gradient; they get none."""
    vectors = subject.soft_prompt(VECTORS).requires_grad_(True)
    with subject.frozen():
        loss = _loss(subject, vectors, grad=True)
        cut_off = "the soft prompt is cut off from the loss"
        assert loss.requires_grad, f"the loss has no gradient: {cut_off}"
        loss.backward()  # type: ignore[no-untyped-call]
    asked = [name for name, weight in subject.model.named_parameters() if weight.grad is not None]
    assert not asked, f"{len(asked)} frozen weights have a gradient: {', '.join(asked[:4])}"
    gradient = vectors.grad
    assert gradient is not None, f"the gradient does not come so far: {cut_off}"
    assert bool(gradient.isfinite().all()), "the gradient holds NaN or infinity"
    length = float(gradient.norm())
    subject.measure("gradient_norm", length)
    silent = int((gradient.norm(dim=-1) == 0).sum())
    assert silent == 0, f"{silent} of {VECTORS} vectors have no gradient: {cut_off}"
    if subject.rounds_activations:
        return
    slope = _slope(subject, vectors.detach(), gradient)
    subject.measure("slope_over_gradient", slope / length)
    assert abs(slope - length) <= 0.1 * length, (
        f"along the gradient the loss rises by {slope:.4f} a unit, the gradient says {length:.4f}"
    )


@check(Area.EMBEDS, needs={"inputs-embeds"}, memory="backward")
def soft_prompt_learns(subject: Subject) -> None:
    """Ten steps on a soft prompt lower the loss on a text it does not know; no weight moves."""
    import torch

    vectors = subject.soft_prompt(VECTORS).requires_grad_(True)
    size = float(vectors.detach().square().mean().sqrt())
    optimizer = torch.optim.Adam([vectors], lr=LEARNING_RATE * size)
    losses = []
    with subject.frozen():
        for _ in range(LEARNING_STEPS):
            loss = _loss(subject, vectors, grad=True)
            losses.append(float(loss.detach()))
            (vectors.grad,) = torch.autograd.grad(loss, [vectors])
            optimizer.step()
    losses.append(float(_loss(subject, vectors)))
    subject.measure("losses_nats", losses)
    assert losses[-1] < losses[0], (
        f"{LEARNING_STEPS} steps take the loss from {losses[0]:.3f} to {losses[-1]:.3f}"
    )


def _loss(subject: Subject, vectors: Tensor, *, grad: bool = False) -> Tensor:
    """The cross entropy, after a soft prompt, of saying the text's tokens in reverse."""
    from torch.nn.functional import cross_entropy

    inputs = subject.text.inputs.first(POSITIONS)
    logits = subject.logits_after(vectors, inputs, grad=grad)[0]
    return cross_entropy(logits, subject.text.labels[0].flip(0)[: len(logits)])


def _slope(subject: Subject, vectors: Tensor, gradient: Tensor) -> float:
    """The loss's slope along its gradient at a soft prompt, (vectors, width)."""
    from compat.subject.slope import slope_along

    length = float(gradient.norm())

    def loss(step: float) -> float:
        return float(_loss(subject, vectors + gradient * (step / length)))

    return slope_along(loss, float(vectors.norm(dim=-1).mean()), length)


@check(Area.EMBEDS, needs={"inputs-embeds"})
def soft_prompt_in_a_batch_equals_single(subject: Subject) -> None:
    """A soft prompt before each row of a padded batch gives what it gives before the row alone."""
    rows = subject.prompts()
    vectors = subject.soft_prompt(VECTORS)
    together = subject.logits_after(vectors, subject.batch(rows))
    for index, row in enumerate(rows):
        alone = subject.logits_after(vectors, row)[0]
        subject.assert_close(together[index, -row.length :], alone, f"row {index}")
        plain = subject.logits(row)[0]
        heard = float((alone - plain).abs().max() / (plain.max() - plain.min()))
        # Where activations are rounded the tolerance is larger than what some encoders pass on.
        floor = 0.0 if subject.rounds_activations else subject.tolerance
        assert heard > floor, f"row {index}: a soft prompt changes no logit"
