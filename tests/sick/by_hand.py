"""The checks that people write by hand for such pages: it loads, enumerates, captures, generates.

They are what every damaged model is put through as well, to see how much of it they would catch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import GenerationConfig

from compat.interventions import hidden_of
from compat.registry.spec import ModelClass
from compat.targets import Weights

LISTS = (
    "model.layers",
    "transformer.h",
    "transformer.encoder.layers",
    "gpt_neox.layers",
    "model.decoder.layers",
    "decoder.block",
    "model.language_model.layers",
    "transformer.blocks",
    "backbone.layers",
)
"""Where the blocks of known architectures are."""
SOME_TOKENS = 4


def caught_by_hand(subject: Any) -> bool | None:
    """Whether any of the models of a subject does not get through; None for a config alone."""
    if subject.target.weights is Weights.CONFIG:
        return None
    try:
        return not all(_gets_through(one) for one in getattr(subject, "both", (subject,)))
    except Exception:  # whatever a damaged model raises, somebody looks at it: that is caught
        return True


def _gets_through(subject: Any) -> bool:
    """Blocks are enumerated, one has a mean activation without NaN, some tokens are generated."""
    model, tokenizer = subject.model, subject.tokenizer
    given = tokenizer("The adaptive transformer architecture", return_tensors="pt")
    inputs = {name: ids for name, ids in given.items() if name != "token_type_ids"}
    blocks = _enumerate(model)
    with torch.no_grad(), _means(blocks) as means:
        written = model.generate(**inputs, generation_config=_settings()).sequences
    read = 1 if subject.spec.model_class is ModelClass.SEQ2SEQ else inputs["input_ids"].shape[1]
    count = len(blocks)
    usable = [means[index] for index in (count - 1, max(count - 2, 0), count // 2, 0)]
    return any(not bool(mean.isnan().any()) for mean in usable) and written.shape[1] > read


def _settings() -> GenerationConfig:
    return GenerationConfig(
        max_new_tokens=SOME_TOKENS,
        do_sample=False,
        return_dict_in_generate=True,
        output_hidden_states=True,
    )


def _enumerate(model: Any) -> list[Any]:
    for path in LISTS:
        try:
            return list(model.get_submodule(path))
        except AttributeError:
            continue
    raise LookupError("no list of blocks at any known path")


@contextmanager
def _means(blocks: list[Any]) -> Iterator[dict[int, torch.Tensor]]:
    """Collect the mean over positions of what each block puts out last."""
    means: dict[int, torch.Tensor] = {}

    def mean_of(index: int) -> Any:
        def collect(_module: Any, _args: Any, output: Any) -> None:
            means[index] = hidden_of(output).float().mean(1)

        return collect

    handles = [block.register_forward_hook(mean_of(i)) for i, block in enumerate(blocks)]
    try:
        yield means
    finally:
        for handle in handles:
            handle.remove()
