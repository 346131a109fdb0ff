"""What tells one head from another: how it spreads its attention, and how much it adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from compat.interventions.attention_function import attention_weights
from compat.interventions.gates import GateSite, apply_gates

Run = Callable[[], object]
"""Runs the model once over a text."""


class AttentionNotSeenError(LookupError):
    """An attention that is computed by a kernel which can't be looked into."""


def normalised_entropy(weights: torch.Tensor) -> torch.Tensor:
    """How evenly each head spreads its attention, (heads,): 0 on one key, 1 on all alike.

    `weights` is (batch, heads, queries, keys). A query's entropy is divided by that of an even
    spread over the keys it sees; queries that see one key alone have no choice and don't count.
    """
    visible = (weights > 0).sum(-1)
    chooses = visible > 1
    entropy = torch.special.entr(weights).sum(-1) / visible.clamp(min=2).log()
    entropy = torch.where(chooses | entropy.isnan(), entropy, 0)
    mean = entropy.sum((0, 2)) / chooses.sum((0, 2)).clamp(min=1)
    return mean.clamp(0, 1).cpu()


def head_entropies(sites: Sequence[GateSite], run: Run) -> list[torch.Tensor]:
    """The normalised entropy of every head over one run, (heads,) for each site.

    Raises AttentionNotSeenError where the weights of a site can't be seen.
    """
    with attention_weights(sites) as collected:
        run()
    for site, weights in zip(sites, collected, strict=True):
        if not weights:
            raise AttentionNotSeenError(f"{site.name} is computed by a kernel of its own")
    return [normalised_entropy(weights[-1]) for weights in collected]


def head_contributions(sites: Sequence[GateSite], run: Run) -> list[torch.Tensor]:
    """Mean length of what each head adds to the residual stream in one run, (heads,) for each site.

    It is what the output projection would lack without the head, so that weights count and are
    never read: they may be quantized or offloaded.
    """
    with _entering(sites) as entered:
        run()
    return [_contributions(site, entering) for site, entering in zip(sites, entered, strict=True)]


def _contributions(site: GateSite, entering: torch.Tensor) -> torch.Tensor:
    positions = entering.detach().flatten(0, -2)
    without = 1 - torch.eye(site.heads)
    lacking = apply_gates(positions.expand(site.heads, *positions.shape), without[:, None])
    with torch.no_grad():
        whole: torch.Tensor = site.projection(positions[None])
        missing = whole.float() - site.projection(lacking).float()
    lengths: torch.Tensor = missing.norm(dim=-1).mean(-1).cpu()
    return lengths


@contextmanager
def _entering(sites: Sequence[GateSite]) -> Iterator[list[torch.Tensor]]:
    """Collect what enters the output projection of each site, of its last call."""
    entered = [torch.empty(0)] * len(sites)

    def keep(index: int) -> Callable[[nn.Module, Any], None]:
        def hook(_module: nn.Module, args: Any) -> None:
            entered[index] = args[0]

        return hook

    with ExitStack() as undo:
        for index, site in enumerate(sites):
            undo.callback(site.projection.register_forward_pre_hook(keep(index)).remove)
        yield entered
