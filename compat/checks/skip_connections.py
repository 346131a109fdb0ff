"""Skip connections: from block i to block n-1-i, as in a U-Net."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Subject

STEPS = 3
"""Tokens generated over skip connections."""
SCALE = 0.25
"""Share of an early block's state that a late one is given."""


@check(Area.GATES)
def skip_of_scale_zero_is_exact(subject: Subject) -> None:
    """Skip connections of scale 0 change not one bit, in a forward and in generation."""
    inputs = subject.text.inputs
    before = subject.logits(inputs)
    with subject.skip(0.0):
        skipped = subject.logits(inputs)
        said = subject.generate(subject.text.prompt(), new_tokens=STEPS)
    different = int((skipped != before).sum())
    assert different == 0, f"{different} of {before.numel()} logits differ at scale 0"
    different = int((said.logits != subject.greedy.logits[:, :STEPS]).sum())
    assert different == 0, f"{different} logits of {STEPS} decoding steps differ at scale 0"


@check(Area.GATES)
def skip_adds_the_earlier_state(subject: Subject) -> None:
    """A skip connection adds block i's state, scaled, to block n-1-i's, and is undone exactly."""
    import torch

    from compat.outcomes import NotApplicable

    if len(subject.anatomy.blocks) < 2:
        raise NotApplicable("the model has one block, and nothing to skip to")
    inputs = subject.text.inputs
    before = subject.logits(inputs)
    with subject.skip(SCALE):
        skipped = subject.logits(inputs)
    after = subject.logits(inputs)
    bad = int((~skipped.isfinite()).sum())
    assert bad == 0, f"{bad} of {skipped.numel()} logits are NaN or infinite at scale {SCALE}"
    assert bool((skipped != before).any()), f"skip connections of scale {SCALE} move no logit"
    assert torch.equal(after, before), "logits are not what they were before the skip connections"
    expected = _added_by_hand(subject)
    different = int((skipped != expected).sum())
    assert different == 0, (
        f"{different} of {skipped.numel()} logits differ from those of the same sums made by "
        f"hand, by up to {float((skipped - expected).abs().max()):.1e}"
    )


def _added_by_hand(subject: Subject) -> Tensor:
    """Logits with the early states of an untouched run added to the late blocks' outputs.

    Every early block comes before every late one, so that no sum reaches another's source.
    """
    states = subject.run.blocks
    last = len(states) - 1
    with ExitStack() as edits:
        for first in range(len(states) // 2):
            add = partial(_add, early=states[first])
            edits.enter_context(subject.edit(last - first, add))
        return subject.logits(subject.text.inputs)


def _add(hidden: Tensor, *, early: Tensor) -> Tensor:
    return hidden + SCALE * early.to(hidden)


@check(Area.GATES)
def skip_holds_in_generation(subject: Subject) -> None:
    """Generation over skip connections gives, with a cache, the logits of one whole forward."""
    import torch

    prompt = subject.text.prompt()
    with subject.skip(SCALE):
        said = subject.generate(prompt, new_tokens=STEPS)
        ids = torch.cat([prompt.ids, said.tokens[:, :-1]], dim=1)
        whole = replace(prompt, ids=ids, mask=torch.ones_like(ids))
        expected = subject.logits(whole)[:, prompt.length - 1 :]
    bad = int((~said.logits.isfinite()).sum())
    assert bad == 0, f"{bad} logits of {STEPS} decoding steps are NaN or infinite"
    if not subject.rounds_activations:
        # Where a router decides by rounded activations, rounding sends a token elsewhere.
        subject.assert_close(said.logits, expected, f"logits of {STEPS} decoding steps")
