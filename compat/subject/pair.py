"""`PairSubject`: two loaded models, and all that a check of a pair may touch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from compat.fit.judge import Judgement
from compat.outcomes import NotApplicable
from compat.pairs.adapters import LinearAdapter, PerceiverResampler
from compat.pairs.statistics import EmbeddingStatistics
from compat.registry.pair import PairSpec
from compat.results.record import Measures
from compat.subject.calibration import first_usable
from compat.subject.inputs import Inputs
from compat.subject.notes import Notes
from compat.subject.subject import Subject
from compat.targets import Mode, Target

SAMPLED_TOKENS = 4096
"""Token ids, evenly spread over the vocabulary, whose embeddings stand for all of them."""

OF_THE_RECEIVER = frozenset({"inputs-embeds"})
"""Capabilities that the source may lack."""

ADDED = ("load_seconds", "weights_bytes", "offloaded_bytes")
"""What loading two models takes is the sum of both."""


class PairSubject(Notes):
    """A pair: the source reads a text, and the receiver is given its states as embeddings.

    The receiver is the pair's target; here `target` is what it is for every subject, the
    coordinates of what was loaded.
    """

    def __init__(
        self, *, target: Target, spec: PairSpec, source: Subject, receiver: Subject
    ) -> None:
        super().__init__()
        self.target = target
        self.spec = spec
        self.source = source
        self.receiver = receiver
        self.fit: Judgement | None = None
        """What both were predicted to take; None where nothing was in question."""

    # What it is

    @property
    def both(self) -> tuple[Subject, Subject]:
        """Source and receiver."""
        return (self.source, self.receiver)

    @property
    def mode(self) -> Mode:
        """How both were loaded."""
        return self.target.mode

    @property
    def revision(self) -> str | None:
        """The revisions of both."""
        known = [str(end.revision) for end in self.both if end.revision is not None]
        return "+".join(known) or None

    @cached_property
    def load_measures(self) -> Measures:
        """What the loader measured, added up."""
        return {name: sum(_number(end.load_measures, name) for end in self.both) for name in ADDED}

    def has(self, capability: str) -> bool:
        """Whether the pair has a capability: both models, or the one that it is asked of.

        Raises UnknownCapabilityError for a name of none.
        """
        asked = (self.receiver,) if capability in OF_THE_RECEIVER else self.both
        return all(end.has(capability) for end in asked)

    def require(self, *capabilities: str) -> None:
        """Raise NotApplicable unless the pair has every one of `capabilities`."""
        for capability in capabilities:
            if not self.has(capability):
                raise NotApplicable(f"the pair has no {capability.replace('-', ' ')}")

    def shared_weights(self) -> list[str]:
        """Names of the receiver's weights that are kept in memory of the source's."""
        held = {_address(tensor) for tensor in self.source.model.parameters()} - {0}
        named = self.receiver.model.named_parameters()
        return [name for name, tensor in named if _address(tensor) in held]

    # What is carried over

    @cached_property
    def states(self) -> Tensor:
        """What the source makes of its text: (1, length, source width), float32.

        At the last block whose states are finite, or what stands in for it; see `first_usable`.
        """
        blocks = self.source.run.blocks
        return blocks[first_usable(blocks)][None].to(self.receiver.device)

    @cached_property
    def statistics(self) -> EmbeddingStatistics:
        """Of the receiver's token embeddings, as its embedding layer puts them out."""
        count = self.receiver.checkpoint.shape.vocabulary
        ids = torch.linspace(0, count - 1, min(count, SAMPLED_TOKENS)).long()
        embedded = self.receiver.embed(Inputs.of(ids[None]))
        return EmbeddingStatistics.of(embedded[0])

    def linear_adapter(self) -> LinearAdapter:
        """A new linear adapter from source to receiver; the same each time."""
        adapter = LinearAdapter(self.states.shape[-1], self.statistics)
        return adapter.to(self.receiver.device)

    def resampler(self) -> PerceiverResampler:
        """A new resampler from source to receiver; the same each time."""
        resampler = PerceiverResampler(self.states.shape[-1], self.statistics)
        return resampler.to(self.receiver.device)

    @cached_property
    def message(self) -> tuple[Inputs, Tensor]:
        """A text that the receiver does not say by itself, and the token after each position.

        It is the receiver's own text backwards: what makes it likelier came through the latents.
        Labels are (1, length).
        """
        text = self.receiver.text
        backwards = torch.cat([text.inputs.ids[:, :1], text.labels.flip(1)], dim=1)
        return text.inputs.with_ids(backwards[:, :-1]), backwards[:, 1:]

    def read(self, latents: Tensor, *, grad: bool = False) -> Tensor:
        """The receiver's logits over the message behind `latents`, (length, vocabulary), float32.

        `latents` are (1, count, receiver width); an encoder-decoder's encoder reads them before
        what it reads of the text.
        """
        own, _ = self.message
        with torch.set_grad_enabled(grad):
            read = self.receiver.embed(own)
            carried = latents.to(read.device, self.receiver.dtype)
            embeds = torch.cat([carried, read], dim=1)
        inputs = _behind(own, latents.shape[1])
        logits = self.receiver.logits_of_embeds(inputs, embeds, grad=grad)
        return logits[0, -own.length :]

    def loss(self, adapter: nn.Module, *, grad: bool = True) -> Tensor:
        """Cross entropy of the message behind what the source has read, in nats a token."""
        with torch.set_grad_enabled(grad):
            logits = self.read(adapter(self.states), grad=grad)
            return cross_entropy(logits, self.message[1][0])

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let no weight of either model ask for a gradient inside."""
        with self.source.frozen(), self.receiver.frozen():
            yield

    # What it must be afterwards

    @contextmanager
    def pristine(self) -> Iterator[None]:
        """Raise NotPristineError on leaving if what happened inside left a trace on either."""
        with ExitStack() as stack:
            for end in self.both:
                stack.enter_context(end.pristine())
            yield

    def fingerprint_unchanged(self) -> bool:
        """Whether the bytes of all weights of both are what they were after the warm-up."""
        return all(end.fingerprint_unchanged() for end in self.both)


def _behind(inputs: Inputs, count: int) -> Inputs:
    """The same inputs with `count` more positions before what the model reads first."""
    if inputs.encoder_ids is not None and inputs.encoder_mask is not None:
        return replace(
            inputs,
            encoder_ids=_widened(inputs.encoder_ids, count),
            encoder_mask=_widened(inputs.encoder_mask, count, 1),
        )
    return replace(inputs, ids=_widened(inputs.ids, count), mask=_widened(inputs.mask, count, 1))


def _widened(rows: Tensor, count: int, value: int = 0) -> Tensor:
    return torch.cat([rows.new_full((len(rows), count), value), rows], dim=1)


def _address(tensor: Tensor) -> int:
    """Where a tensor's data is; 0 where it has none, as offloaded weights."""
    return 0 if tensor.is_meta else tensor.untyped_storage().data_ptr()


def _number(measures: Measures, name: str) -> int | float:
    value = measures.get(name)
    return value if isinstance(value, int | float) else 0
