"""A running model whose parts are known: what its blocks compute is captured, changed, gated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property

import torch
from torch import nn

from compat import interventions
from compat.anatomy.anatomy import Anatomy, find_anatomy
from compat.interventions import Agency, Gates, GateSite
from compat.subject.running import RunningModel
from compat.subject.runs import StreamRun


class AdaptableModel(RunningModel):
    """What reads and adapts a model without adding to it; every change ends with its `with`.

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

    def queries_and_keys(
        self,
    ) -> AbstractContextManager[list[list[tuple[torch.Tensor, torch.Tensor]]]]:
        """Collect what every site compares, positions put in; see `interventions`."""
        return interventions.queries_and_keys(self.gate_sites)

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

    @cached_property
    def run(self) -> StreamRun:
        """One forward over the whole text with every block captured."""
        with self.capture() as captured:
            output = self.forward(self.text.inputs, output_hidden_states=True)
        states = getattr(output, "decoder_hidden_states", None) or getattr(
            output, "hidden_states", None
        )
        return StreamRun(
            logits=output.logits[0].float().cpu(),
            blocks=tuple(captured[index][0][0].float().cpu() for index in sorted(captured)),
            hidden_states=None if states is None else tuple(state[0].cpu() for state in states),
        )

    # What a check may do to it

    def capture(
        self, modules: dict[int, nn.Module] | None = None
    ) -> AbstractContextManager[dict[int, list[torch.Tensor]]]:
        """Collect hidden states of every decoder block, or of `modules`; see `interventions`."""
        if modules is None:
            modules = {block.index: block.module for block in self.anatomy.blocks}
        return interventions.capture(modules)

    def count_block_calls(self) -> AbstractContextManager[list[int]]:
        """Collect the indices of the decoder blocks in the order in which they run."""
        return interventions.count_calls([block.module for block in self.anatomy.blocks])

    def edit(self, block: int, edit: interventions.Edit) -> AbstractContextManager[None]:
        """Replace a decoder block's hidden state by `edit` of it."""
        return interventions.edit_output(self.anatomy.blocks[block].module, edit)

    def steer(
        self, block: int, direction: torch.Tensor, *, start: int = 0
    ) -> AbstractContextManager[None]:
        """Add a direction, (width,), to a decoder block's hidden state from a position on."""
        return interventions.steer(self.anatomy.blocks[block].module, direction, start=start)

    def patch(self, block: int, hidden: torch.Tensor) -> AbstractContextManager[None]:
        """Replace a decoder block's hidden state by another, (batch, length, width)."""
        return interventions.patch(self.anatomy.blocks[block].module, hidden)
