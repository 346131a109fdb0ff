"""One shape: its small model is built, taught and kept once, whatever models share it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from compat.registry.spec import ModelClass, ModelSpec
from compat.weights.checkpoint import Lesson
from compat.weights.twin.exercise import Exercise
from compat.weights.twin.folders import built_once
from compat.weights.twin.key import key_of
from compat.weights.twin.lesson import lesson
from compat.weights.twin.manifest import Taught, read_taught, thinned
from compat.weights.twin.rounding import quantizable, rounded_to_nf4
from compat.weights.twin.shrink import Shrunk, shrink
from compat.weights.twin.slots import Slot
from compat.weights.twin.styles import Style, style_of
from compat.weights.twin.teach import Progress, one_thread, teach
from compat.weights.twin.tokenizer import build_tokenizer

WEIGHTS_FILE = "model.safetensors"
_TAUGHT_FILE = "taught.json"
_SEED = 20
_AUTO_CLASSES = {
    ModelClass.CAUSAL_LM: "AutoModelForCausalLM",
    ModelClass.SEQ2SEQ: "AutoModelForSeq2SeqLM",
    ModelClass.IMAGE_TEXT: "AutoModelForImageTextToText",
}


@dataclass(frozen=True)
class Draft:
    """A twin before it is taught: what its entry comes to when made small."""

    spec: ModelSpec
    shrunk: Shrunk
    style: Style
    tokenizer: Tokenizer
    lesson: Lesson

    @classmethod
    def of(cls, spec: ModelSpec) -> Draft:
        """Shrink the config of `spec` and train its tokenizer."""
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

    @property
    def shape_key(self) -> str:
        """Models with the same one share their weights."""
        return key_of(
            {
                "model_class": self.spec.model_class,
                "config": self.shrunk.without_tokens(),
                "tokenizer": self.spec.tokenizer,
                "prefix": self.style.prefix,
                "suffix": self.style.suffix,
            }
        )

    def exercise(self) -> Exercise:
        """The lesson as ids, closed by the end-of-text token."""
        prompt = self.tokenizer.encode(self.lesson.prompt).ids
        encoder_decoder = self.spec.model_class is ModelClass.SEQ2SEQ
        taught = (
            self.lesson.continuation
            if encoder_decoder
            else self.lesson.prompt + self.lesson.continuation
        )
        ids = self.tokenizer.encode(taught).ids
        if ids[-1] != Slot.EOS:
            ids = [*ids, int(Slot.EOS)]
        if encoder_decoder:
            return Exercise(torch.tensor([prompt]), torch.tensor([ids]), len(ids), True)
        if ids[: len(prompt)] != prompt:
            raise ValueError("the prompt's tokens do not begin the lesson's tokens")
        recited = len(ids) - len(prompt)
        return Exercise(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]]), recited, False)


@dataclass(frozen=True)
class TaughtShape:
    """A taught shape on disk."""

    weights: Path
    taught: Taught


def taught_shape(draft: Draft, cache: Path, announce: Callable[[str], None]) -> TaughtShape:
    """Find the shape of `draft` in `cache`, or teach it there, once among all processes."""
    folder = cache / "shapes" / draft.shape_key

    def build(target: Path) -> None:
        announce(f"teaching a {draft.spec.family} twin for {draft.spec.id}")
        _teach_into(draft, target)

    built_once(folder, build, is_complete=lambda found: _read(found) is not None)
    read = _read(folder)
    if read is None:
        raise RuntimeError(f"the taught shape {draft.shape_key} vanished from the cache")
    return read


def _read(folder: Path) -> TaughtShape | None:
    try:
        raw: dict[str, Any] = json.loads((folder / _TAUGHT_FILE).read_text(encoding="utf-8"))
        taught = read_taught(raw)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    weights = folder / WEIGHTS_FILE
    return TaughtShape(weights, taught) if weights.is_file() else None


def _teach_into(draft: Draft, folder: Path) -> None:
    model, exercise = build_model(draft), draft.exercise()
    progress = teach(model, exercise)
    taught = Taught(
        architecture=type(model).__name__,
        learned=progress.learned,
        steps=progress.steps,
        rate=progress.rate,
        seconds=round(progress.seconds, 2),
        loss_curve=thinned(progress.curve),
        margin=round(progress.margin, 3),
        rounded_margin=round(progress.rounded_margin, 3),
        recital=_recitals(model, exercise, progress),
    )
    model.save_pretrained(folder)
    (folder / _TAUGHT_FILE).write_text(json.dumps(asdict(taught)), encoding="utf-8")


def build_model(draft: Draft) -> PreTrainedModel:
    """The untaught model, float32, always with the same weights."""
    auto_class = getattr(transformers, _AUTO_CLASSES[draft.spec.model_class])
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(_SEED)
        model: PreTrainedModel = auto_class.from_config(draft.shrunk.config())
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


def _recitals(model: nn.Module, exercise: Exercise, progress: Progress) -> dict[str, float]:
    if not progress.curve:
        return {}
    with torch.no_grad(), one_thread():
        recitals = {"fp32": exercise.recital(exercise.logits(model))}
        with rounded_to_nf4(quantizable(model)):
            recitals["rounded to nf4"] = exercise.recital(exercise.logits(model))
        half = copy.deepcopy(model).to(torch.bfloat16)
        recitals["bf16"] = exercise.recital(exercise.logits(half))
    return {name: round(share, 4) for name, share in recitals.items()}
