"""A running model whose parts are known: its heads can be gated and its blocks bridged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property

import torch

from compat import interventions
from compat.anatomy.anatomy import Anatomy, find_anatomy
from compat.interventions import Agency, Gates, GateSite
from compat.subject.running import RunningModel


class AdaptableModel(RunningModel):
    """What adapts a model without adding to it.

    A wrapper with gates, agency or skip connections of its own overrides `gate`, `agency` and
    `skip`, so that the checks look at those.
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

    def utilisation(self) -> list[torch.Tensor]:
        """One minus the normalised entropy of each head's attention over the text.

        (heads,) for each site. Raises AttentionNotSeenError where no weights can be seen.
        """
        entropies = interventions.head_entropies(self.gate_sites, self.read_text)
        return [1 - own for own in entropies]

    def read_text(self) -> None:
        """Run once over the text."""
        self.forward(self.text.inputs)

    @contextmanager
    def agency(self) -> Iterator[Agency]:
        """Heads with states, all active at first, whose gates follow them at every forward."""
        agency = Agency.of([site.heads for site in self.gate_sites])
        with interventions.gate(self.gate_sites, lambda site: torch.tensor(agency.gates(site))):
            yield agency
