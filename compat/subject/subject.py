"""`Subject`: a loaded target, and all that a check may touch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from compat import interventions
from compat.anatomy.anatomy import Anatomy, find_anatomy
from compat.outcomes import CannotRun, NotApplicable, Reason, ReasonCode
from compat.registry.spec import ModelClass, ModelSpec
from compat.results.record import Measures
from compat.subject.capabilities import CAPABILITIES
from compat.subject.inputs import Generation, Inputs, left_pad
from compat.subject.notes import Notes
from compat.subject.pristine import Snapshot, fingerprint
from compat.subject.runs import Reference, StreamRun
from compat.subject.text import UNTAUGHT, TextStream, text_stream
from compat.subject.tolerance import assert_close
from compat.targets import Checkpoint, Mode, Target

NEW_TOKENS = 12
"""How many tokens a check generates unless more is the point."""


class Subject(Notes):
    """A loaded target.

    It carries the model, its tokenizer and its anatomy, runs it with explicit settings, offers
    interventions that undo themselves, and computes once what several checks read. A wrapper
    subclasses it and overrides what differs.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        tokenizer: Any,
        target: Target,
        spec: ModelSpec,
        checkpoint: Checkpoint,
        load_measures: Measures | None = None,
        reference: Callable[[Subject], Reference | None] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.target = target
        self.spec = spec
        self.checkpoint = checkpoint
        self.load_measures: Measures = load_measures or {}
        self._reference = reference
        parameters = inspect.signature(model.forward).parameters
        self.forward_arguments = frozenset(parameters)
        """Names that the model's forward spells out."""

    # What it is

    @property
    def revision(self) -> str | None:
        """Commit on the hub, or key of the twin."""
        return self.checkpoint.revision

    @property
    def mode(self) -> Mode:
        """How it was loaded."""
        return self.target.mode

    @property
    def has_encoder(self) -> bool:
        """Whether it is an encoder-decoder."""
        return self.spec.model_class is ModelClass.SEQ2SEQ

    @property
    def taught(self) -> bool:
        """Whether it was taught the text it reads, so that a recital can be asked for."""
        return self.checkpoint.lesson is not None

    @cached_property
    def device(self) -> torch.device:
        """Where its inputs go."""
        embedding: nn.Module = self.model.get_input_embeddings()  # type: ignore[operator]
        where = next(embedding.parameters()).device
        return torch.device("cpu") if where.type == "meta" else where

    @cached_property
    def anatomy(self) -> Anatomy:
        """Its parts, found by one traced forward."""
        probe = self.text.inputs.first(min(8, self.text.inputs.length))
        return find_anatomy(self.model, lambda: self.forward(probe), self.checkpoint.shape)

    def has(self, capability: str) -> bool:
        """Whether it has a capability. Raises KeyError for a name that is none."""
        return CAPABILITIES[capability](self)

    def require(self, *capabilities: str) -> None:
        """Raise NotApplicable unless it has every one of `capabilities`."""
        for capability in capabilities:
            if not self.has(capability):
                raise NotApplicable(f"the model has no {capability.replace('-', ' ')}")

    # What it reads

    @cached_property
    def text(self) -> TextStream:
        """The text it was taught, or a text to run on, as token ids on the CPU."""
        lesson = self.checkpoint.lesson or UNTAUGHT
        start = self._decoder_start() if self.has_encoder else 0
        return text_stream(lesson, self.tokenizer, encoder=self.has_encoder, start_token=start)

    @property
    def pad_token(self) -> int:
        """The id that fills short rows: the tokenizer's padding, or its end of text, or 0."""
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    def prompts(self) -> list[Inputs]:
        """Three prompts of different lengths, one row each, for comparing a batch with singles."""
        prompt = self.text.prompt()
        if self.has_encoder:
            source = prompt.encoder_ids
            assert source is not None
            ending = source.shape[1] - 1
            cuts = [source, source[:, ending // 2 :], source[:, ending // 4 :]]
            return [Inputs.of(prompt.ids, cut) for cut in cuts]
        longest = self.text.start
        return [self.text.inputs.first(length) for length in (longest, longest // 2, 3)]

    def batch(self, rows: Sequence[Inputs]) -> Inputs:
        """One batch of single rows, padded on the left."""
        ids, mask = left_pad([row.ids[0] for row in rows], self.pad_token)
        encoders = [row.encoder_ids[0] for row in rows if row.encoder_ids is not None]
        if not encoders:
            return Inputs(ids, mask)
        encoder_ids, encoder_mask = left_pad(encoders, self.pad_token)
        return Inputs(ids, mask, encoder_ids, encoder_mask)

    # What it does

    def arguments(self, inputs: Inputs) -> dict[str, torch.Tensor]:
        """The keyword arguments of the model's forward for these inputs, on its device.

        `position_ids` are passed wherever the forward accepts them: without them GPT-2's answers
        depend on the padding.
        """
        named: dict[str, torch.Tensor] = dict(inputs.extra)
        if inputs.encoder_ids is not None and inputs.encoder_mask is not None:
            named |= {
                "input_ids": inputs.encoder_ids,
                "attention_mask": inputs.encoder_mask,
                "decoder_input_ids": inputs.ids,
            }
        else:
            named |= {"input_ids": inputs.ids, "attention_mask": inputs.mask}
            if "position_ids" in self.forward_arguments:
                named["position_ids"] = inputs.position_ids
        return {name: tensor.to(self.device) for name, tensor in named.items()}

    def forward(self, inputs: Inputs, *, grad: bool = False, **options: Any) -> Any:
        """Run the model, without a cache unless `use_cache` says so, and return its output."""
        options = {"use_cache": False, "return_dict": True} | options
        with torch.set_grad_enabled(grad):
            return self.model(**self.arguments(inputs), **options)

    def logits(self, inputs: Inputs, *, grad: bool = False) -> torch.Tensor:
        """Logits in float32, (batch, length, vocabulary), on the CPU."""
        logits: torch.Tensor = self.forward(inputs, grad=grad).logits
        return logits.float().cpu()

    def generate(
        self, inputs: Inputs, *, new_tokens: int = NEW_TOKENS, stop: bool = False, **options: Any
    ) -> Generation:
        """Generate from `inputs`, greedily unless `options` say otherwise.

        Every setting is explicit: what the checkpoint's generation config holds is not used.
        `stop` lets the end of text end a row; otherwise exactly `new_tokens` are generated.
        """
        settings = {
            "max_new_tokens": new_tokens,
            "do_sample": False,
            "num_beams": 1,
            "use_cache": True,
            "pad_token_id": self.pad_token,
            "eos_token_id": self.tokenizer.eos_token_id if stop else None,
            "output_hidden_states": False,
            "return_dict_in_generate": True,
        } | options
        if self.has_encoder:
            settings["decoder_start_token_id"] = self._decoder_start()
        arguments = self.arguments(inputs)
        arguments.pop("position_ids", None)
        with torch.no_grad(), self.plain_generation_config():
            output = self.model.generate(  # type: ignore[operator]
                **arguments, generation_config=GenerationConfig(**settings)
            )
        states = getattr(output, "decoder_hidden_states", None) or getattr(
            output, "hidden_states", None
        )
        return Generation(output.sequences[:, inputs.length :].cpu(), states)

    @contextmanager
    def plain_generation_config(self) -> Iterator[None]:
        """Put an empty generation config in the place of the checkpoint's.

        transformers fills what a given config leaves open from the model's own, so a checkpoint's
        repetition penalty would otherwise decide what is compared.
        """
        own = self.model.generation_config
        self.model.generation_config = GenerationConfig()
        try:
            yield
        finally:
            self.model.generation_config = own

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens as text, special tokens included."""
        return str(self.tokenizer.decode(list(tokens)))

    # What several checks read

    @cached_property
    def run(self) -> StreamRun:
        """One forward over the whole text with every block captured."""
        blocks = {block.index: block.module for block in self.anatomy.blocks}
        with self.capture(blocks) as captured:
            output = self.forward(self.text.inputs, output_hidden_states=True)
        states = getattr(output, "decoder_hidden_states", None) or getattr(
            output, "hidden_states", None
        )
        return StreamRun(
            logits=output.logits[0].float().cpu(),
            blocks=tuple(captured[index][0][0].float().cpu() for index in blocks),
            hidden_states=None if states is None else tuple(state[0].cpu() for state in states),
        )

    @cached_property
    def greedy(self) -> Generation:
        """The first tokens generated from the prompt, with a cache and hidden states."""
        return self.generate(self.text.prompt(), output_hidden_states=True)

    @cached_property
    def reference(self) -> Reference:
        """The run its mode is compared with. Raises CannotRun where it can't be had here."""
        found = None if self._reference is None else self._reference(self)
        if found is None:
            raise CannotRun(
                Reason(
                    ReasonCode.NO_REFERENCE,
                    "no reference here: the unquantized checkpoint can't be run on this machine",
                    "run the reference mode of this model on a machine that it fits",
                )
            )
        return found

    def assert_close(self, actual: torch.Tensor, expected: torch.Tensor, what: str) -> float:
        """Fail unless both are equal up to the rounding of this mode; NaN never is."""
        return assert_close(actual, expected, self.mode, what)

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

    # What it must be afterwards

    def warm_up(self) -> None:
        """Run once and take the state that every check has to leave behind.

        bitsandbytes may rearrange its weights at the first forward, so the state is taken after.
        """
        self.forward(self.text.inputs)
        self._fingerprint = fingerprint(self.model)

    @contextmanager
    def pristine(self) -> Iterator[None]:
        """Raise NotPristineError on leaving if what happened inside left a trace on the model."""
        before = Snapshot.of(self.model)
        yield
        before.require_equal(Snapshot.of(self.model))

    def fingerprint_unchanged(self) -> bool:
        """Whether the bytes of all weights are what they were after the warm-up."""
        return fingerprint(self.model) == self._fingerprint

    def _decoder_start(self) -> int:
        for source in (self.model.generation_config, self.model.config):
            token = getattr(source, "decoder_start_token_id", None)
            if token is not None:
                return int(token)
        raise ValueError("neither config nor generation config holds a decoder_start_token_id")
