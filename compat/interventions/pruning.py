"""Pruning: which heads go first, and gates that close a share of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from compat.interventions.gates import GateSite, open_gates
from compat.interventions.head_statistics import Run, head_contributions, head_entropies

Head = tuple[int, int]
"""Index of a site, and of a head in it."""


def random_order(sites: Sequence[GateSite], seed: int) -> list[Head]:
    """All heads in an order drawn from `seed`."""
    heads = [(index, head) for index, site in enumerate(sites) for head in range(site.heads)]
    generator = torch.Generator().manual_seed(seed)
    return [heads[place] for place in torch.randperm(len(heads), generator=generator).tolist()]


def magnitude_order(sites: Sequence[GateSite], run: Run) -> list[Head]:
    """All heads, those first that add least to the residual stream."""
    return smallest_first(head_contributions(sites, run))


def entropy_order(sites: Sequence[GateSite], run: Run) -> list[Head]:
    """All heads, those first that spread their attention most evenly.

    Raises AttentionNotSeenError where attention weights can't be seen.
    """
    return smallest_first([-entropies for entropies in head_entropies(sites, run)])


def smallest_first(values: Sequence[torch.Tensor]) -> list[Head]:
    """All heads by their value, of which there are (heads,) for each site; then by their place."""
    ranked = [
        (value, index, head)
        for index, own in enumerate(values)
        for head, value in enumerate(own.tolist())
    ]
    return [(index, head) for _, index, head in sorted(ranked)]


def pruning_gates(
    sites: Sequence[GateSite], order: Sequence[Head], share: float
) -> list[torch.Tensor]:
    """Gates that are closed for the first `share` of the heads in `order`, rounded to whole ones.

    Raises ValueError for a share that is none.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share of the heads is between 0 and 1, not {share}")
    gates = open_gates(sites)
    for index, head in order[: round(share * len(order))]:
        gates[index][head] = 0
    return gates
