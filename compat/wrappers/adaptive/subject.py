"""A model that stays adaptive for as long as it is wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from compat import interventions
from compat.interventions import Agency, Gates
from compat.subject import Subject


class AdaptiveSubject(Subject):
    """Gates on every head, skip connections and agency, all of them on the model all the time.

    At first gates are open, skip connections have scale 0 and every head is active, which is to
    change nothing. The checks of gates turn the ones that are there instead of adding others.
    """

    def __init__(self, **subject: Any) -> None:
        super().__init__(**subject)
        self._attached = ExitStack()
        self._gates: list[torch.Tensor] = []
        self._scale = 0.0
        self._agency = Agency.of([])

    def attach(self) -> None:
        """Put the hooks on. Raises HeadsNotFoundError where a head can't be gated."""
        sites = self.gate_sites
        self._gates = interventions.open_gates(sites)
        self._agency = Agency.of([site.heads for site in sites])
        blocks = [block.module for block in self.anatomy.blocks]
        self._attached.enter_context(interventions.gate(sites, self._gates_of))
        self._attached.enter_context(
            interventions.skip_connections(blocks, lambda: self._scale),
        )

    def detach(self) -> None:
        """Take the hooks off."""
        self._attached.close()

    def _gates_of(self, site: int) -> torch.Tensor:
        """What gates and agency let through together, (heads,)."""
        return self._gates[site] * torch.tensor(self._agency.gates(site))

    @contextmanager
    def gate(self, gates: Gates) -> Iterator[None]:
        """Turn the gates that are there; those that are turned already stay so."""
        before = self._gates
        self._gates = [own * new for own, new in zip(before, gates, strict=True)]
        try:
            yield
        finally:
            self._gates = before

    @contextmanager
    def agency(self) -> Iterator[Agency]:
        """Give the heads states of their own for a while, all active at first."""
        before = self._agency
        self._agency = Agency.of([site.heads for site in self.gate_sites])
        try:
            yield self._agency
        finally:
            self._agency = before

    @contextmanager
    def skip(self, scale: float) -> Iterator[None]:
        """Add to the scale of the skip connections that are there."""
        before = self._scale
        self._scale += scale
        try:
            yield
        finally:
            self._scale = before
