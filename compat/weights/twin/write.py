"""Writing a twin as a checkpoint folder that `from_pretrained` loads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from transformers import GenerationConfig, PretrainedConfig, PreTrainedTokenizerFast

from compat.registry.spec import ModelSpec
from compat.weights.twin.key import cpu, twin_key, versions
from compat.weights.twin.manifest import Manifest, file_hash
from compat.weights.twin.shape_store import WEIGHTS_FILE, Draft, TaughtShape, taught_shape
from compat.weights.twin.slots import Slot


def write_checkpoint(
    spec: ModelSpec, folder: Path, cache: Path, announce: Callable[[str], None]
) -> None:
    """Write the twin of `spec` into the empty `folder`, its shape taught in or taken from `cache`.

    A shape that was not learned is written too; its manifest says so.
    """
    draft = Draft.of(spec)
    shape = taught_shape(draft, cache, announce)
    config = draft.shrunk.config()
    config.architectures = [shape.taught.architecture]
    config.save_pretrained(folder)
    _generation_config(config, draft).save_pretrained(folder)
    _tokenizer(config, draft).save_pretrained(folder)
    _link(shape.weights, folder / WEIGHTS_FILE)
    _manifest(draft, shape, folder).write(folder)


def _generation_config(config: PretrainedConfig, draft: Draft) -> GenerationConfig:
    """Every special id stated, nothing sampled."""
    text = config.get_text_config(decoder=True)
    eos = list(draft.shrunk.eos) or [int(Slot.EOS)]
    pad = getattr(config, "pad_token_id", None)
    if pad is None:
        pad = getattr(text, "pad_token_id", None)
    bos = getattr(config, "bos_token_id", None)
    if bos is None:
        bos = getattr(text, "bos_token_id", None)
    stated = {
        name: value
        for name in ("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id")
        if (value := getattr(config, name, None)) is not None
    }
    return GenerationConfig(
        bos_token_id=bos,
        eos_token_id=eos if len(eos) > 1 else eos[0],
        pad_token_id=eos[0] if pad is None else pad,
        do_sample=False,
        **stated,
    )


def _tokenizer(config: PretrainedConfig, draft: Draft) -> PreTrainedTokenizerFast:
    specials, roles = draft.style.specials(), dict(draft.style.roles)
    pad = getattr(config.get_text_config(decoder=True), "pad_token_id", None)
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
        versions=versions(),
        cpu=cpu(),
        lesson=draft.lesson,
        shape=draft.shrunk.shape,
        taught=shape.taught,
        files={path.name: file_hash(path) for path in sorted(folder.iterdir())},
    )
