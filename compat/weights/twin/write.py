"""Writing a twin as a checkpoint folder that `from_pretrained` loads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from compat.registry.spec import ModelSpec
from compat.weights.twin.draft import Draft
from compat.weights.twin.key import cpu, recipe, twin_key, versions
from compat.weights.twin.manifest import Manifest, file_hash
from compat.weights.twin.shapes import WEIGHTS_FILE, TaughtShape, taught_shape
from compat.weights.twin.slots import Slot


def write_checkpoint(
    spec: ModelSpec, folder: Path, cache: Path, announce: Callable[[str], None]
) -> None:
    """Write the twin of `spec` into the empty `folder`, its shape taught in or taken from `cache`.

    A shape that was not learned is written too; its manifest says so. Raises ValueError where
    transformers does not know the model type or loads another tokenizer than was taught.
    """
    with _quiet():
        draft = Draft.of(spec)
        shape = taught_shape(draft, cache, announce)
        config = draft.shrunk.config()
        config.architectures = [shape.taught.architecture]
        config.save_pretrained(folder)
        _generation_config(config, draft).save_pretrained(folder)
        _tokenizer(config, draft).save_pretrained(folder)
        _verify_tokenizer(folder, draft)
    _link(shape.weights, folder / WEIGHTS_FILE)
    _manifest(draft, shape, folder).write(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what transformers has to say to somebody who builds and saves a model."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _token(config: PretrainedConfig, name: str) -> Any:
    """A token field of the config, or else of its text part."""
    found = getattr(config, name, None)
    return getattr(config.get_text_config(decoder=True), name, None) if found is None else found


def _generation_config(config: PretrainedConfig, draft: Draft) -> GenerationConfig:
    """Every special id stated, nothing sampled."""
    ends = list(draft.shrunk.eos) or [int(Slot.EOS)]
    pad = _token(config, "pad_token_id")
    stated = {
        name: value
        for name in ("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id")
        if (value := getattr(config, name, None)) is not None
    }
    return GenerationConfig(
        bos_token_id=_token(config, "bos_token_id"),
        eos_token_id=ends if len(ends) > 1 else ends[0],
        pad_token_id=ends[0] if pad is None else pad,
        do_sample=False,
        **stated,
    )


def _tokenizer(config: PretrainedConfig, draft: Draft) -> PreTrainedTokenizerFast:
    specials, roles = draft.style.specials(), dict(draft.style.roles)
    pad = _token(config, "pad_token_id")
    if pad is not None:
        roles.setdefault("pad", pad)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=draft.tokenizer,
        padding_side=draft.style.padding_side,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{role}_token": specials[slot] for role, slot in roles.items()},
    )
    if draft.spec.chat_template:
        tokenizer.chat_template = draft.style.turns.value
    return tokenizer


def _verify_tokenizer(folder: Path, draft: Draft) -> None:
    """For some model types transformers builds a tokenizer of its own from the files."""
    loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    for text in (draft.lesson.prompt, draft.lesson.prompt + draft.lesson.continuation):
        taught, found = draft.tokenizer.encode(text).ids, loaded(text)["input_ids"]
        if taught != found:
            raise ValueError(
                f"{draft.spec.id}: transformers loads a {type(loaded).__name__} that cuts the "
                f"lesson into {found}, but {taught} was taught"
            )


def _link(source: Path, target: Path) -> None:
    """A hard link, so that models of one shape store their weights once; else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _manifest(draft: Draft, shape: TaughtShape, folder: Path) -> Manifest:
    return Manifest(
        model=draft.spec.id,
        key=twin_key(draft.spec),
        shape_key=draft.shape_key,
        recipe=recipe(),
        versions=versions(),
        cpu=cpu(),
        lesson=draft.lesson,
        shape=draft.shrunk.shape,
        taught=shape.taught,
        files={path.name: file_hash(path) for path in sorted(folder.iterdir())},
    )
