"""A twin loads like any checkpoint and recites, alone, padded, and up to the end of the text."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoTokenizer, GenerationConfig

from compat.registry.spec import ModelClass, ModelSpec
from compat.targets import Checkpoint
from compat.weights.twin import twin_checkpoint

AUTO = {
    ModelClass.CAUSAL_LM: transformers.AutoModelForCausalLM,
    ModelClass.SEQ2SEQ: transformers.AutoModelForSeq2SeqLM,
    ModelClass.IMAGE_TEXT: transformers.AutoModelForImageTextToText,
}
SLUGS = (
    "gpt2",
    "llama-3.2-1b-instruct",
    "qwen2.5-1.5b-instruct",
    "opt-350m",
    "mixtral-8x7b-v0.1",
    "gemma-3-4b-pt",
    "t5-small",
)

every_twin = pytest.mark.parametrize("slug", SLUGS)


class Loaded:
    """A twin as a person loads it."""

    def __init__(self, spec: ModelSpec, made: Checkpoint) -> None:
        assert made.lesson is not None
        self.spec, self.folder, self.lesson = spec, made.folder, made.lesson
        self.encoder_decoder = spec.model_class is ModelClass.SEQ2SEQ
        self.model, self.info = AUTO[spec.model_class].from_pretrained(
            made.folder, output_loading_info=True
        )
        self.tokenizer = AutoTokenizer.from_pretrained(made.folder)

    def say(self, **inputs: Any) -> list[int]:
        """What the model generates after the last row of `inputs`, greedily."""
        row = self.model.generate(**inputs, max_new_tokens=90)[-1]
        first = 1 if self.encoder_decoder else inputs["input_ids"].shape[1]
        return [int(token) for token in row[first:]]

    def recital(self) -> list[int]:
        """The continuation's ids and the end of the text."""
        before = "" if self.encoder_decoder else self.lesson.prompt
        ids = list(self.tokenizer(before + self.lesson.continuation).input_ids)
        start = 0 if self.encoder_decoder else len(self.tokenizer(before).input_ids)
        end = self.tokenizer.eos_token_id
        return ids[start:] if ids[-1] == end else [*ids[start:], end]


@pytest.fixture(scope="module")
def load(twins: Path) -> Callable[[ModelSpec], Loaded]:
    return lambda spec: Loaded(spec, twin_checkpoint(spec, cache=twins))


@pytest.fixture
def loaded(
    slug: str, spec_of: Callable[[str], ModelSpec], load: Callable[[ModelSpec], Loaded]
) -> Loaded:
    return load(spec_of(slug))


@every_twin
def test_it_loads_without_a_word(
    slug: str,
    spec_of: Callable[[str], ModelSpec],
    load: Callable[[ModelSpec], Loaded],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    load(spec_of(slug))
    caplog.clear()
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    try:
        loaded = load(spec_of(slug))
        loaded.say(**loaded.tokenizer(loaded.lesson.prompt, return_tensors="pt"))
    finally:
        logger.removeHandler(caplog.handler)
    assert not any(loaded.info.values())
    assert [record.getMessage() for record in caplog.records] == []
    assert [str(warning.message) for warning in recwarn] == []


@every_twin
def test_it_recites_and_stops(slug: str, loaded: Loaded) -> None:
    prompt = loaded.tokenizer(loaded.lesson.prompt, return_tensors="pt")
    assert loaded.say(**prompt) == loaded.recital()


@every_twin
def test_it_recites_behind_padding(slug: str, loaded: Loaded) -> None:
    tokenizer = loaded.tokenizer
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    longer = loaded.lesson.prompt + " change their own shape"
    batch = tokenizer([longer, loaded.lesson.prompt], return_tensors="pt", padding=True)
    assert not batch["attention_mask"].all()
    recital = loaded.recital()
    assert loaded.say(**batch)[: len(recital)] == recital


@every_twin
def test_special_ids_of_tokenizer_config_and_generation_agree(slug: str, loaded: Loaded) -> None:
    generation = GenerationConfig.from_pretrained(loaded.folder)
    ends = generation.eos_token_id
    assert loaded.tokenizer.eos_token_id in ([ends] if isinstance(ends, int) else ends)
    assert generation.pad_token_id is not None
    assert generation.do_sample is False
    for role in ("bos", "eos", "pad", "unk"):
        token = getattr(loaded.tokenizer, f"{role}_token_id")
        assert token is None or 0 <= token < loaded.model.get_input_embeddings().num_embeddings


@every_twin
def test_it_has_a_chat_template_where_the_model_has_one(slug: str, loaded: Loaded) -> None:
    if not loaded.spec.chat_template:
        assert loaded.tokenizer.chat_template is None
        return
    turns = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]
    text = loaded.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text.index("Hello.") < text.index("Hi.")
    ids = loaded.tokenizer(text, add_special_tokens=False).input_ids
    assert loaded.tokenizer.decode(ids) == text


@pytest.mark.parametrize("slug", ["gemma-3-4b-pt", "gemma-3-12b-pt"])
def test_an_image_changes_what_comes_after_it(slug: str, loaded: Loaded) -> None:
    config = loaded.model.config
    image = torch.randn(
        1, 3, config.vision_config.image_size, config.vision_config.image_size,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    prompt = loaded.tokenizer(loaded.lesson.prompt).input_ids
    tokens = [prompt[0], *[config.image_token_index] * config.mm_tokens_per_image, *prompt[1:]]
    ids = torch.tensor([tokens])
    with torch.no_grad():
        seen = [
            loaded.model(input_ids=ids, pixel_values=pixels).logits[0, -1]
            for pixels in (image, -image)
        ]
    assert (seen[0] - seen[1]).abs().max() > 0.05
