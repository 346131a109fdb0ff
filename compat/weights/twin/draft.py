"""A twin before it is taught: what its registry entry comes to when made small."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import transformers
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from compat.registry.spec import ModelClass, ModelSpec
from compat.targets import Lesson
from compat.weights.twin.exercise import Exercise
from compat.weights.twin.key import key_of
from compat.weights.twin.lesson import lesson
from compat.weights.twin.shrink import Shrunk, shrink
from compat.weights.twin.slots import Slot
from compat.weights.twin.styles import Style, style_of
from compat.weights.twin.teach import one_thread
from compat.weights.twin.tokenizer import build_tokenizer

_SEED = 20
_AUTO_CLASSES = {
    ModelClass.CAUSAL_LM: "AutoModelForCausalLM",
    ModelClass.SEQ2SEQ: "AutoModelForSeq2SeqLM",
    ModelClass.IMAGE_TEXT: "AutoModelForImageTextToText",
}


@dataclass(frozen=True)
class Draft:
    """Small config, tokenizer and lesson of one entry."""

    spec: ModelSpec
    shrunk: Shrunk
    style: Style
    tokenizer: Tokenizer
    lesson: Lesson

    @classmethod
    def of(cls, spec: ModelSpec) -> Draft:
        """Shrink the config of `spec` and train its tokenizer.

        Raises ValueError where transformers does not know the model type.
        """
        style = style_of(spec.family, spec.tokenizer, spec.config)
        return cls(
            spec=spec,
            shrunk=shrink(spec),
            style=style,
            tokenizer=build_tokenizer(
                spec.tokenizer, style.specials(), prefix=style.prefix, suffix=style.suffix
            ),
            lesson=lesson(encoder_decoder=spec.model_class is ModelClass.SEQ2SEQ),
        )

    @cached_property
    def shape_key(self) -> str:
        """Models with the same one share their weights."""
        return key_of(
            {
                "model_class": self.spec.model_class,
                "config": self.shrunk.traits(),
                "tokenizer": self.spec.tokenizer,
                "prefix": self.style.prefix,
                "suffix": self.style.suffix,
            }
        )

    def exercise(self) -> Exercise:
        """The lesson as ids, closed by the end-of-text token."""
        prompt = self.tokenizer.encode(self.lesson.prompt).ids
        encoder_decoder = self.spec.model_class is ModelClass.SEQ2SEQ
        before = "" if encoder_decoder else self.lesson.prompt
        ids = self.tokenizer.encode(before + self.lesson.continuation).ids
        if ids[-1] != Slot.EOS:
            ids = [*ids, int(Slot.EOS)]
        if encoder_decoder:
            return Exercise(torch.tensor([prompt]), torch.tensor([ids]), len(ids), True)
        if ids[: len(prompt)] != prompt:
            raise ValueError("the prompt's tokens do not begin the lesson's tokens")
        recited = len(ids) - len(prompt)
        return Exercise(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]]), recited, False)

    def build_model(self) -> PreTrainedModel:
        """The untaught model, in float32 and evaluation mode, always with the same weights."""
        auto_class = getattr(transformers, _AUTO_CLASSES[self.spec.model_class])
        with torch.random.fork_rng(devices=[]), one_thread():
            torch.manual_seed(_SEED)
            model: PreTrainedModel = auto_class.from_config(self.shrunk.config())
            _wake(model)
        return model.eval()


def _wake(model: nn.Module) -> None:
    """Give small random weights to matrices that start as zeros.

    A projection of zeros would hide everything behind it, such as a vision tower.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 and not parameter.any():
                parameter.normal_(std=parameter.shape[0] ** -0.5)
