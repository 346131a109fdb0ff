"""A model's outline as plain values: its stacks, kinds of blocks and their parts, path and class.

It is written into a record as JSON and read where no torch is: this module imports none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import nn

    from compat.anatomy.blocks import Stack

EXPERTS = "experts"
"""What transformers calls the module that holds the experts of a block, fused or as a list."""


class Outlined(BaseModel):
    """Base of every part of an outline."""

    model_config = ConfigDict(frozen=True)


class Part(Outlined):
    """A module: its path, in its block where it is part of one, and its class."""

    path: str
    module: str
    experts: int = 0
    """How many experts lie in it."""


class BlockKind(Outlined):
    """Blocks of a stack that are built alike."""

    module: str
    layer_type: str
    """The config's word for it, such as `sliding_attention`; empty where it has none."""
    at: tuple[int, ...]
    """Indices of the blocks of this kind."""
    parts: tuple[Part, ...]
    """In the order in which they are registered, which need not be that in which they run."""


class StackOutline(Outlined):
    """A list of blocks."""

    role: str
    """`decoder`, `encoder` or `vision`."""
    path: str
    kinds: tuple[BlockKind, ...]


class Outline(Outlined):
    """What a model consists of."""

    embedding: Part
    stacks: tuple[StackOutline, ...]
    head: Part | None


def outline_of(model: Any, stacks: Iterable[tuple[str, Stack | None]]) -> Outline:
    """The outline of `model`, whose stacks are given by role; those that are None are left out."""
    paths = {module: path for path, module in model.named_modules()}
    head = model.get_output_embeddings()
    embedding = model.get_input_embeddings()
    text = model.config.get_text_config(decoder=True)
    return Outline(
        embedding=_part(paths[embedding], embedding),
        stacks=tuple(
            StackOutline(
                role=role,
                path=stack.path,
                kinds=_kinds(stack.blocks, _layer_types(text) if role == "decoder" else ()),
            )
            for role, stack in stacks
            if stack is not None
        ),
        head=None if head is None else _part(paths[head], head),
    )


def _layer_types(config: Any) -> Sequence[str]:
    for name in ("layer_types", "layers_block_type"):
        kinds = getattr(config, name, None)
        if isinstance(kinds, list | tuple):
            return [str(kind) for kind in kinds]
    return ()


def _kinds(blocks: Sequence[nn.Module], types: Sequence[str]) -> tuple[BlockKind, ...]:
    alike: dict[tuple[str, str, tuple[Part, ...]], list[int]] = {}
    for index, block in enumerate(blocks):
        parts = tuple(_part(path, module) for path, module in _children(block))
        layer_type = types[index] if len(types) == len(blocks) else ""
        alike.setdefault((type(block).__name__, layer_type, parts), []).append(index)
    return tuple(
        BlockKind(module=module, layer_type=layer_type, at=tuple(at), parts=parts)
        for (module, layer_type, parts), at in alike.items()
    )


def _children(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules directly in a block; a list of them counts as its members."""
    for path, module in block.named_children():
        if type(module).__name__ == "ModuleList":
            yield from ((f"{path}.{name}", member) for name, member in module.named_children())
        else:
            yield path, module


def _part(path: str, module: nn.Module) -> Part:
    inside = (one for name, one in module.named_modules() if name.rpartition(".")[2] == EXPERTS)
    return Part(
        path=path,
        module=type(module).__name__,
        experts=max((_number(experts) for experts in inside), default=0),
    )


def _number(experts: Any) -> int:
    """How many experts a module holds: the length of a list, or what a fused one says."""
    return int(getattr(experts, "num_experts", 0) or _length(experts))


def _length(module: Any) -> int:
    return len(module) if hasattr(module, "__len__") else 0
