"""Models that are not what they were once they have been saved and loaded again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from compat.targets import Mode
from tests.sick.sickness import GPT2, LLAMA_CHAT, sick

WEIGHTS = "model.safetensors"
Tensors = dict[str, torch.Tensor]


def _after_saving(owner: Any, then: Callable[[Path], object]) -> None:
    """Let `then` change what `owner` (a model or a tokenizer) has written to a folder."""
    inner = owner.save_pretrained

    def save_pretrained(folder: Path, *args: Any, **kwargs: Any) -> Any:
        written = inner(folder, *args, **kwargs)
        then(Path(folder))
        return written

    owner.save_pretrained = save_pretrained


def _rewrite(file: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        change(content)
        (folder / file).write_text(json.dumps(content))

    return rewrite


def _rewrite_weights(change: Callable[[Tensors], Tensors]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, {"format": "pt"})

    return rewrite


@sick("saved_as_safetensors_only", says="saving wrote pickles: adapter.pt")
def adapter_pickled(subject: Any) -> None:
    """A wrapper writes its own weights beside the model's with `torch.save`."""
    _after_saving(
        subject.model, lambda folder: torch.save({"gate": torch.ones(4)}, folder / "adapter.pt")
    )


@sick("saved_as_safetensors_only", says="saving wrote no safetensors: config.json")
def format_of_its_own(subject: Any) -> None:
    """A wrapper stores the weights in a format that only its own loader reads."""
    own, store = subject.checkpoint.folder, subject._store

    def rename(folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / "weights.raw")

    _after_saving(subject.model, rename)
    reopen = store.reopen
    subject._store = SimpleNamespace(save=store.save, reopen=lambda who, _folder: reopen(who, own))


@sick("reload_gives_the_same_logits", says=r"logits of shape .* are .* after the reload")
def vocabulary_padded_on_saving(subject: Any) -> None:
    """The embedding is padded to a multiple of a tile's size on saving, and not cut on loading."""

    def pad(tensors: Tensors) -> Tensors:
        name = "model.embed_tokens.weight"
        return tensors | {name: torch.nn.functional.pad(tensors[name], (0, 0, 0, 8))}

    def widen(config: dict[str, Any]) -> None:
        config["vocab_size"] += 8

    _after_saving(subject.model, _rewrite_weights(pad))
    _after_saving(subject.model, _rewrite("config.json", widen))


@sick(
    "reload_gives_the_same_logits",
    says=r"logits differ after the reload, by up to",
    spares={"saved_as_safetensors_only"},
)
def saved_in_half_precision(subject: Any) -> None:
    """The weights are saved in half precision to save space."""
    _after_saving(
        subject.model,
        _rewrite_weights(lambda tensors: {name: t.half() for name, t in tensors.items()}),
    )


@sick("reload_gives_the_same_logits", says=r"logits differ after the reload", mode=Mode.NF4)
def scales_not_saved_exactly(subject: Any) -> None:
    """The scales of 4-bit weights are rounded to bfloat16 on saving."""

    def rounded(tensors: Tensors) -> Tensors:
        return {
            name: t.bfloat16().float() if name.endswith("absmax") else t
            for name, t in tensors.items()
        }

    _after_saving(subject.model, _rewrite_weights(rounded))


@sick(
    "reload_gives_the_same_logits",
    says=r"of \d+ logits differ",
    model=GPT2,
    spares={"saved_as_safetensors_only"},
)
def blocks_saved_in_another_order(subject: Any) -> None:
    """Blocks are saved in the order of their names as text, as 10 comes before 2: here reversed."""

    def reverse(tensors: Tensors) -> Tensors:
        swap = {"transformer.h.0.": "transformer.h.1.", "transformer.h.1.": "transformer.h.0."}
        return {swap.get(name[:16], name[:16]) + name[16:]: t for name, t in tensors.items()}

    _after_saving(subject.model, _rewrite_weights(reverse))


@sick("reload_gives_the_same_logits", says=r"of \d+ logits differ", mode=Mode.DISK_OFFLOAD)
def offloaded_weights_saved_as_zeros(subject: Any) -> None:
    """What waits on disk is not brought in for saving: empty tensors are written."""
    _after_saving(
        subject.model,
        _rewrite_weights(lambda tensors: {n: torch.zeros_like(t) for n, t in tensors.items()}),
    )


@sick("tokenizer_survives_saving", says=r"the text is \d+ tokens, and others after the reload")
def merges_not_saved(subject: Any) -> None:
    """The tokenizer's merges are not saved: text falls into bytes."""
    _after_saving(
        subject.tokenizer,
        _rewrite("tokenizer.json", lambda content: content["model"].update(merges=[])),
    )


@sick(
    "tokenizer_survives_saving",
    says="not the same after the reload: chat template",
    model=LLAMA_CHAT,
)
def chat_template_not_saved(subject: Any) -> None:
    """The chat template is not saved."""
    _after_saving(subject.tokenizer, lambda folder: (folder / "chat_template.jinja").unlink())


@sick("configs_survive_saving", says=r"^AssertionError: config is not the same .*: rms_norm_eps")
def config_saved_from_defaults(subject: Any) -> None:
    """A field is saved with the default of its class in the place of the model's own value."""
    _after_saving(
        subject.model, _rewrite("config.json", lambda config: config.update(rms_norm_eps=1e-3))
    )


@sick("configs_survive_saving", says="generation config is not the same after the reload: .*eos")
def generation_config_not_saved(subject: Any) -> None:
    """The generation config that came with the checkpoint is not saved: its stops are lost."""
    subject.model.generation_config.eos_token_id = [5, 7]
    _after_saving(subject.model, lambda folder: (folder / "generation_config.json").unlink())
