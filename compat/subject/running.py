"""Running a loaded model: forwards and generation with every setting explicit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from compat.registry.spec import ModelClass, ModelSpec
from compat.results.record import Measures
from compat.subject.inputs import Generation, Inputs, pad_rows
from compat.subject.notes import Notes
from compat.subject.text import UNTAUGHT, TextStream, text_stream
from compat.subject.tolerance import assert_close, tolerance
from compat.targets import Checkpoint, Mode, Target

NEW_TOKENS = 12
"""How many tokens a check generates unless more is the point."""


class RunningModel(Notes):
    """A model, its tokenizer and its text, run with explicit settings only."""

    def __init__(
        self,
        *,
        model: nn.Module,
        tokenizer: Any,
        target: Target,
        spec: ModelSpec,
        checkpoint: Checkpoint,
        load_measures: Measures | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.target = target
        self.spec = spec
        self.checkpoint = checkpoint
        self.load_measures: Measures = load_measures or {}
        """What the loader measured: seconds, bytes, dtype, device map."""
        self.forward_arguments = frozenset(inspect.signature(model.forward).parameters)
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

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that was asked for everything that is not quantized."""
        dtype: torch.dtype = getattr(torch, str(self.load_measures["dtype"]))
        return dtype

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

    @contextmanager
    def padding_token(self) -> Iterator[None]:
        """Let the tokenizer pad with its end of text where it has no padding token."""
        stored = self.tokenizer.pad_token
        if stored is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        try:
            yield
        finally:
            self.tokenizer.pad_token = stored

    def prompts(self) -> list[Inputs]:
        """Three prompts of different lengths, one row each, for comparing a batch with singles."""
        prompt = self.text.prompt()
        if self.has_encoder:
            source = prompt.encoder_ids
            assert source is not None
            length = source.shape[1]
            cuts = [source, source[:, length // 2 :], source[:, length // 4 :]]
            return [Inputs.of(prompt.ids, cut) for cut in cuts]
        longest = self.text.start
        return [self.text.inputs.first(length) for length in (longest, longest // 2, 3)]

    def read(self, texts: Sequence[str], *, equally_long: bool = False) -> list[Inputs]:
        """Texts of one's own as the model reads them, an encoder-decoder in its encoder.

        `equally_long` cuts them to the tokens of the shortest, so that no length tells them apart.
        """
        rows = [list(self.tokenizer(text)["input_ids"]) for text in texts]
        if not self.has_encoder:
            end = self.tokenizer.eos_token_id
            rows = [row[:-1] if len(row) > 1 and row[-1] == end else row for row in rows]
        length = min(map(len, rows)) if equally_long else None
        streams = [torch.tensor([row[:length]]) for row in rows]
        if self.has_encoder:
            return [Inputs.of(self.text.prompt().ids, stream) for stream in streams]
        return [Inputs.of(stream) for stream in streams]

    def batch(self, rows: Sequence[Inputs]) -> Inputs:
        """One batch of single rows, padded on the left: generation goes on at the right.

        An encoder's input is padded on the right, where its learned positions expect it.
        """
        ids, mask = pad_rows([row.ids[0] for row in rows], self.pad_token, "left")
        encoders = [row.encoder_ids[0] for row in rows if row.encoder_ids is not None]
        if not encoders:
            return Inputs(ids, mask)
        encoder_ids, encoder_mask = pad_rows(encoders, self.pad_token, "right")
        return Inputs(ids, mask, encoder_ids, encoder_mask)

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens as text, special tokens included."""
        return str(self.tokenizer.decode(list(tokens)))

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

    def forward_with_labels(self, inputs: Inputs, labels: torch.Tensor) -> Any:
        """Run the model with labels, (batch, length), and return its output with its loss."""
        return self.forward(inputs, labels=labels.to(self.device))

    def embed(self, inputs: Inputs) -> torch.Tensor:
        """The embedded tokens, (batch, length, width), of the stream that the model reads first."""
        ids = inputs.ids if inputs.encoder_ids is None else inputs.encoder_ids
        with torch.no_grad():
            embedding: nn.Module = self.model.get_input_embeddings()  # type: ignore[operator]
            embedded: torch.Tensor = embedding(ids.to(self.device))
        return embedded

    def logits_of_embeds(
        self, inputs: Inputs, embeds: torch.Tensor, *, grad: bool = False
    ) -> torch.Tensor:
        """Logits in float32 on the CPU, with `embeds` in the place of what `embed` embeds."""
        arguments: dict[str, Any] = self.arguments(inputs)
        arguments["inputs_embeds"] = embeds
        del arguments["input_ids"]
        with torch.set_grad_enabled(grad):
            logits: torch.Tensor = self.model(**arguments, use_cache=False).logits
        return logits.float().cpu()

    def accepted_arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What of a tokenizer's output the model's forward spells out."""
        return {name: value for name, value in given.items() if name in self.forward_arguments}

    def forward_tokenized(self, given: Mapping[str, Sequence[int]]) -> torch.Tensor:
        """Logits, (1, length, vocabulary), for one text as the tokenizer gives it."""
        named = {name: torch.tensor([value], device=self.device) for name, value in given.items()}
        if self.has_encoder:
            named["decoder_input_ids"] = self.text.prompt().ids.to(self.device)
        with torch.no_grad():
            logits: torch.Tensor = self.model(**named, use_cache=False).logits
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
            "output_logits": True,
            "return_dict_in_generate": True,
        } | options
        if self.has_encoder:
            settings["decoder_start_token_id"] = self._decoder_start()
        arguments = self.arguments(inputs)
        arguments.pop("position_ids", None)
        # transformers fills what a given config leaves open from the model's own: a checkpoint's
        # repetition penalty would otherwise decide what is compared.
        with torch.no_grad(), self.generation_config(GenerationConfig()):
            output = self.model.generate(  # type: ignore[operator]
                **arguments, generation_config=GenerationConfig(**settings)
            )
        states = getattr(output, "decoder_hidden_states", None) or getattr(
            output, "hidden_states", None
        )
        tokens = output.sequences[:, inputs.length :].cpu()
        logits = torch.stack([step.float().cpu() for step in output.logits], dim=1)
        return Generation(tokens, logits, states)

    @contextmanager
    def generation_config(self, config: GenerationConfig) -> Iterator[None]:
        """Put another generation config in the place of the one that came with the checkpoint."""
        own = self.model.generation_config
        self.model.generation_config = config
        try:
            yield
        finally:
            self.model.generation_config = own

    def checkpoint_config_of(self, **settings: Any) -> Any:
        """As if the checkpoint had come with these generation settings."""
        return self.generation_config(GenerationConfig(**settings))

    # How exactly

    @property
    def tolerance(self) -> float:
        """What rounding explains in this mode, as a share of the compared values' range."""
        return tolerance(self.mode)

    @property
    def rounds_activations(self) -> bool:
        """Whether activations are rounded so coarsely that small differences mean nothing."""
        return self.tolerance > 1e-3

    def assert_close(self, actual: torch.Tensor, expected: torch.Tensor, what: str) -> float:
        """Fail unless both are equal up to the rounding of this mode; NaN never is."""
        return assert_close(actual, expected, self.mode, what)

    def _decoder_start(self) -> int:
        for source in (self.model.generation_config, self.model.config):
            token = getattr(source, "decoder_start_token_id", None)
            if token is not None:
                return int(token)
        raise ValueError("neither config nor generation config holds a decoder_start_token_id")
