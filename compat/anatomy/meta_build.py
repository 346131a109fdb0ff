"""A model built at full size without weights, on the `meta` device: its structure as facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import transformers
from torch import nn

from compat.anatomy.blocks import Stack
from compat.anatomy.config_shape import AnnouncedShape, announced_shape
from compat.anatomy.outline import Outline, outline_of

ModelKind = Literal["causal-lm", "seq2seq", "image-text"]

AUTO_CLASSES: Mapping[ModelKind, str] = {
    "causal-lm": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "image-text": "AutoModelForImageTextToText",
}


@dataclass(frozen=True)
class BuiltStructure:
    """What transformers made of a config. A stack is None where nothing has its length."""

    architecture: str
    shape: AnnouncedShape
    decoder: Stack | None
    encoder: Stack | None
    vision: Stack | None
    vocabulary: int
    """Rows of the input embedding that was built."""
    parameters: int
    """Tied weights counted once."""
    lists: tuple[str, ...]
    """Every outermost module list with its length, for whoever looks for a stack."""
    outline: Outline


def build_on_meta(model_type: str, arguments: dict[str, Any], kind: ModelKind) -> BuiltStructure:
    """Build a model of transformers' own from config `arguments`; no weight is allocated.

    Raises whatever transformers raises for a config that it can't build.
    """
    config = transformers.AutoConfig.for_model(model_type, **arguments)
    auto_class = getattr(transformers, AUTO_CLASSES[kind])
    with torch.device("meta"):
        model = auto_class.from_config(config, dtype=torch.bfloat16)
    return _structure(model)


def _structure(model: Any) -> BuiltStructure:
    shape = announced_shape(model.config)
    lists = _outermost_lists(model)
    decoder_root = _path_of(model, model.get_decoder())
    encoder_root = None if shape.encoder_blocks is None else _path_of(model, model.get_encoder())
    beside_decoder = [stack for stack in lists if not _inside(stack, decoder_root)]
    in_decoder = [stack for stack in lists if _inside(stack, decoder_root)]
    in_encoder = [stack for stack in lists if encoder_root and _inside(stack, encoder_root)]
    decoder = _largest(in_decoder, shape.blocks)
    encoder = _largest(in_encoder, shape.encoder_blocks)
    vision = _largest(beside_decoder, shape.vision_blocks)
    stacks = (("vision", vision), ("encoder", encoder), ("decoder", decoder))
    return BuiltStructure(
        architecture=type(model).__name__,
        shape=shape,
        decoder=decoder,
        encoder=encoder,
        vision=vision,
        vocabulary=model.get_input_embeddings().weight.shape[0],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        lists=tuple(f"{stack.path} ({len(stack.blocks)})" for stack in lists),
        outline=outline_of(model, stacks),
    )


def _outermost_lists(model: nn.Module) -> list[Stack]:
    """The module lists that lie in no other: experts and sub-layers lie in a block."""
    found: list[Stack] = []
    for path, module in model.named_modules():
        inside_another = any(_inside_path(path, stack.path) for stack in found)
        if isinstance(module, nn.ModuleList) and not inside_another:
            found.append(Stack(path, tuple(module)))
    return found


def _largest(stacks: list[Stack], length: int | None) -> Stack | None:
    """The stack of `length` blocks that holds most parameters."""
    of_length = [stack for stack in stacks if len(stack.blocks) == length]
    return max(of_length, key=lambda stack: stack.parameters, default=None)


def _path_of(model: nn.Module, part: nn.Module) -> str:
    """Path of `part` in `model`; the empty path where it is the model itself."""
    return next((path for path, module in model.named_modules() if module is part), "")


def _inside(stack: Stack, root: str) -> bool:
    return _inside_path(stack.path, root)


def _inside_path(path: str, root: str) -> bool:
    return root == "" or path.startswith(f"{root}.")
