"""A lesson as token ids, and how well a model says it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Exercise:
    """One lesson as ids. A decoder-only model is given `inputs` and must say `targets`.

    `inputs` and `targets` are 1 x length; the recital is the last `recited` targets. For an
    encoder-decoder `inputs` go to the encoder and `targets` are the labels.
    """

    inputs: Tensor
    targets: Tensor
    recited: int
    encoder_decoder: bool

    def logits(self, model: nn.Module) -> Tensor:
        """Logits for every target, length x vocabulary, in float32."""
        if self.encoder_decoder:
            output = model(input_ids=self.inputs, labels=self.targets, use_cache=False)
        else:
            output = model(input_ids=self.inputs, use_cache=False)
        logits: Tensor = output.logits[0].float()
        return logits

    def loss(self, logits: Tensor) -> Tensor:
        """Mean cross entropy over all targets, in nats."""
        return functional.cross_entropy(logits, self.targets[0])

    def sureness(self, logits: Tensor, floor: float) -> Tensor:
        """Mean log odds of the right tokens of the recital, none counted as less than `floor`.

        Unlike the loss it has a gradient where a model is all but certain.
        """
        said, right = logits[-self.recited :], self.targets[0, -self.recited :, None]
        chosen = said.gather(1, right)[:, 0]
        others = said.scatter(1, right, -torch.inf).logsumexp(dim=1)
        return (chosen - others).clamp_min(floor).mean()

    def margin(self, logits: Tensor) -> float:
        """The least margin over the recital; negative where a wrong token wins."""
        said, right = logits[-self.recited :], self.targets[0, -self.recited :, None]
        chosen = said.gather(1, right)[:, 0]
        others = said.scatter(1, right, -torch.inf).amax(dim=1)
        return float((chosen - others).min())

    def recital(self, logits: Tensor) -> float:
        """Share of the recital's tokens that the model would say, given the right ones before."""
        said = logits[-self.recited :].argmax(dim=1)
        return float((said == self.targets[0, -self.recited :]).float().mean())
