"""What a loaded model is, and what it reads: its text, prompts and batches, as token ids."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import nn

from compat.anatomy.waiting import execution_devices, waiting_places
from compat.fit.judge import Judgement
from compat.registry.spec import ModelClass, ModelSpec
from compat.results.record import Measures
from compat.subject.inputs import Inputs, Side, pad_rows
from compat.subject.notes import Notes
from compat.subject.text import UNTAUGHT, TextStream, text_stream
from compat.targets import Checkpoint, Mode, Target

DECODED = 4
"""Tokens of a text that an encoder-decoder reads in its decoder."""


class ReadingModel(Notes):
    """A model, its tokenizer and its text."""

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
        self.fit: Judgement | None = None
        """What it was predicted to take, and what was free; None where nothing was in question."""
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
        """Where its inputs go: to the embedding, or where its weights are brought to be used."""
        embedding: nn.Module = self.model.get_input_embeddings()  # type: ignore[operator]
        where = next(embedding.parameters()).device
        if where.type != "meta":
            return where
        return next(iter(execution_devices(embedding)), torch.device("cpu"))

    @property
    def waiting_places(self) -> dict[str, str]:
        """Where each offloaded weight waits, by name: `disk`, or the device that holds it."""
        return waiting_places(self.model)

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
        start = self.decoder_start() if self.has_encoder else 0
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
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if stored is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        try:
            yield
        finally:
            self.tokenizer.pad_token = stored
            if backend is not None:
                backend.no_padding()  # it remembers how it has padded, and would be saved so

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
        """Texts of one's own as the model reads them.

        An encoder-decoder reads them in its encoder, and their first tokens in its decoder, the
        same number of each. `equally_long` cuts the texts themselves to the tokens of the shortest,
        so that no length tells them apart.
        """
        rows = [list(self.tokenizer(text)["input_ids"]) for text in texts]
        if not self.has_encoder:
            end = self.tokenizer.eos_token_id
            rows = [row[:-1] if len(row) > 1 and row[-1] == end else row for row in rows]
        length = min(map(len, rows)) if equally_long else None
        streams = [torch.tensor([row[:length]]) for row in rows]
        if self.has_encoder:
            begin = self.text.prompt().ids
            decoded = [torch.cat([begin, stream[:, :DECODED]], dim=1) for stream in streams]
            return [Inputs.of(*both) for both in zip(decoded, streams, strict=True)]
        return [Inputs.of(stream) for stream in streams]

    @property
    def longest_row(self) -> int:
        """Tokens of the longest `row`."""
        source = self.text.inputs.encoder_ids
        return self.text.inputs.length if source is None else int(source.shape[1])

    def row(self, length: int) -> Inputs:
        """The first tokens of the text, or of what an encoder reads."""
        source = self.text.inputs.encoder_ids
        if source is None:
            return self.text.inputs.first(length)
        return Inputs.of(self.text.inputs.first(DECODED).ids, source[:, :length])

    def batch(self, rows: Sequence[Inputs], sides: Side | Sequence[Side] = "left") -> Inputs:
        """One batch of single rows, padded on the left: generation goes on at the right.

        `sides` is where other padding is wanted, for all rows or for each. An encoder's input is
        padded on the right, where its learned positions expect it.
        """
        ids, mask = pad_rows([row.ids[0] for row in rows], self.pad_token, sides)
        encoders = [row.encoder_ids[0] for row in rows if row.encoder_ids is not None]
        if not encoders:
            return Inputs(ids, mask)
        encoder_ids, encoder_mask = pad_rows(encoders, self.pad_token, "right")
        return Inputs(ids, mask, encoder_ids, encoder_mask)

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens as text, special tokens included."""
        return str(self.tokenizer.decode(list(tokens)))

    def decoder_start(self) -> int:
        """The token that a decoder begins with. Raises ValueError where nothing says which."""
        for source in (self.model.generation_config, self.model.config):
            token = getattr(source, "decoder_start_token_id", None)
            if token is not None:
                return int(token)
        raise ValueError("neither config nor generation config holds a decoder_start_token_id")
