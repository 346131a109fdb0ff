"""Nesting: interventions in any order, one inside the other, and each undone exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from compat.checks.drawing import for_any
from compat.checks.registry import Area, check

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Subject

READ = 8
"""Tokens read between one intervention and the next."""

Intervention = Callable[[int], AbstractContextManager[Any]]
"""Makes one anew; the number is that of a block, for what is done at a block."""


class Interrupted(Exception):
    """Leaves an intervention in the way in which a user's own mistake does."""


@check(Area.HOOKS)
def any_interventions_nest_and_undo(subject: Subject) -> None:
    """In any order, leaving an intervention gives back, bit for bit, what was before it."""
    from hypothesis import strategies

    inputs = subject.text.inputs.first(READ)
    interventions = _interventions(subject)
    # One gate inside the other: where the inner one ends, the outer one is still there.
    orders = strategies.permutations([*interventions, *({"gate"} & interventions.keys())])
    last = len(subject.anatomy.blocks) - 1

    def nest(order: list[str], block: int, interrupted: bool, outer: str) -> None:
        if not order:
            return
        before = subject.logits(inputs)
        name, *inner = order
        with suppress(Interrupted), interventions[name](block):
            nest(inner, last - block, interrupted, f"{name} in {outer}")
            if interrupted:
                raise Interrupted
        different = int((subject.logits(inputs) != before).sum())
        assert different == 0, (
            f"{name} at block {block} in {outer}, {'interrupted' if interrupted else 'left'}: "
            f"{different} logits are not what they were before"
        )

    def nests(order: list[str], block: int, interrupted: bool) -> None:
        nest(order, block, interrupted, "nothing")

    for_any(subject, few=2)(nests, orders, strategies.integers(0, last), strategies.booleans())


def _interventions(subject: Subject) -> dict[str, Intervention]:
    """By name, all that can be done to this model."""
    import torch

    states = subject.run.blocks  # of the model as it is, before anything is done to it

    def direction(block: int) -> Tensor:
        seeded = torch.Generator().manual_seed(block)
        return torch.randn(states[block].shape[-1], generator=seeded)

    @contextmanager
    def agency(block: int) -> Iterator[None]:
        with subject.agency() as agency:
            agency.withdraw(0, block % subject.gate_sites[0].heads)
            yield

    def gate(block: int) -> AbstractContextManager[None]:
        return subject.gate(
            [torch.full((site.heads,), 0.25 * block) for site in subject.gate_sites]
        )

    on_heads: dict[str, Intervention] = {"agency": agency, "gate": gate}
    return {
        **(on_heads if subject.has("attention") else {}),
        "capture": lambda _block: subject.capture(),
        "edit": lambda block: subject.edit(block, lambda hidden: hidden * 0.5),
        # At the first block, behind which the others still count.
        "patch": lambda _block: subject.patch(0, states[0][None, :READ].flip(1)),
        "skip": lambda _block: subject.skip(0.25),
        "steer": lambda block: subject.steer(block, direction(block), start=READ // 2),
    }
