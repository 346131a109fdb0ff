"""The subject's text as token ids: the stream it reads, and where a recital begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from compat.subject.inputs import Inputs
from compat.targets import Lesson

UNTAUGHT = Lesson(
    prompt="The adaptive transformer architecture enables AI systems to",
    continuation=" change their own shape while they run, and to give back what they do not need.",
)
"""Read by weights that were not taught here: a text to run on, not a text to recite."""


@dataclass(frozen=True)
class TextStream:
    """A text as a model reads it.

    `inputs` is the whole stream with teacher forcing; `labels`, (1, length), the token that
    follows each position. `start` is the number of positions that belong to the prompt, so that
    `labels[:, start - 1:]` is the continuation.
    """

    inputs: Inputs
    labels: torch.Tensor
    start: int
    asked: str
    """The prompt in words."""

    @property
    def continuation(self) -> torch.Tensor:
        """The tokens to be recited, (length,), the end of text last."""
        return self.labels[0, self.start - 1 :]

    def prompt(self, recited: int = 0) -> Inputs:
        """The inputs up to where generation goes on, `recited` tokens into the continuation."""
        return self.inputs.first(self.start + recited)


def text_stream(lesson: Lesson, tokenizer: Any, *, encoder: bool, start_token: int) -> TextStream:
    """Tokenize a lesson for a decoder-only model, or for an encoder-decoder.

    Raises ValueError where the prompt's tokens are no prefix of the whole text's: a recital would
    have no place to begin.
    """
    end = tokenizer.eos_token_id
    if encoder:
        target = _ended(tokenizer(text_target=lesson.continuation)["input_ids"], end)
        source = torch.tensor([tokenizer(lesson.prompt)["input_ids"]])
        ids = torch.tensor([[start_token, *target[:-1]]])
        return TextStream(Inputs.of(ids, source), torch.tensor([target]), 1, lesson.prompt)
    whole = _ended(tokenizer(lesson.prompt + lesson.continuation)["input_ids"], end)
    prompt = tokenizer(lesson.prompt)["input_ids"]
    if prompt and prompt[-1] == end and len(prompt) > 1:
        prompt = prompt[:-1]
    if whole[: len(prompt)] != prompt:
        raise ValueError("the tokens of the prompt are no prefix of the whole text's")
    inputs, labels = Inputs.of(torch.tensor([whole[:-1]])), torch.tensor([whole[1:]])
    return TextStream(inputs, labels, len(prompt), lesson.prompt)


def _ended(ids: list[int], end: int | None) -> list[int]:
    return ids if end is None or (ids and ids[-1] == end) else [*ids, end]
