"""A running model whose parts are known: its heads can be gated and its blocks bridged."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property

import torch

from compat import interventions
from compat.anatomy.anatomy import Anatomy, find_anatomy
from compat.interventions import Gates, GateSite
from compat.subject.running import RunningModel


class AdaptableModel(RunningModel):
    """What adapts a model without adding to it.

    A wrapper with gates or skip connections of its own overrides `gate` and `skip`, so that the
    checks look at those.
    """

    @cached_property
    def anatomy(self) -> Anatomy:
        """Its parts, found by one traced forward."""
        probe = self.text.inputs.first(min(8, self.text.inputs.length))
        return find_anatomy(self.model, lambda: self.forward(probe), self.checkpoint.shape)

    @cached_property
    def gate_sites(self) -> tuple[GateSite, ...]:
        """Every attention of the decoder. Raises HeadsNotFoundError for one not understood."""
        return interventions.gate_sites(self.anatomy)

    def gate(self, gates: Gates) -> AbstractContextManager[None]:
        """Multiply what each head adds by its gate; `gates` holds (heads,) for each site."""
        return interventions.gate(self.gate_sites, gates.__getitem__)

    def scale_heads(self, gates: Gates) -> AbstractContextManager[list[int]]:
        """Do the same inside the attention function, independently; see `interventions`."""
        return interventions.scale_heads(self.gate_sites, gates)

    def attention_weights(self) -> AbstractContextManager[list[list[torch.Tensor]]]:
        """Collect every site's attention weights; see `interventions`."""
        return interventions.attention_weights(self.gate_sites)

    def skip(self, scale: float) -> AbstractContextManager[None]:
        """Add what block i puts out, times `scale`, to what block n-1-i puts out."""
        blocks = [block.module for block in self.anatomy.blocks]
        return interventions.skip_connections(blocks, lambda: scale)
