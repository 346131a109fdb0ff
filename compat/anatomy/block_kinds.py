"""Which blocks of a model are alike: those that do the same, whatever their place in the stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

PLAIN = (bool, int, float, str, type(None), torch.dtype)
"""Types whose values are compared; of anything else the class."""
FEWEST = 4
"""Blocks of one kind that run in any case: the first, the last and two between."""

Traits = dict[str, object]


@dataclass(frozen=True)
class KindsOfBlocks:
    """A list of blocks, and of which kind each is."""

    path: str
    blocks: tuple[nn.Module, ...]
    kinds: tuple[int, ...]
    """By position. Blocks of one kind have the same modules, shapes, dtypes and settings."""
    agree: bool = False
    """Whether blocks of a kind were seen to take the same, wherever they are."""

    @cached_property
    def typical(self) -> frozenset[int]:
        """Positions whose blocks stand for others of their kind: of each kind two, or one.

        Neither the first of a kind, which may prepare what the others share and lets go of it last,
        nor the last block of all. The two are as far apart as can be: that they agree says that the
        place does not matter. Once that is known, one is enough.
        """
        found: set[int] = set()
        for kind in set(self.kinds):
            places = self.between(kind)
            found |= set(places[:1] if self.agree else (*places[:1], *places[-1:]))
        return frozenset(found)

    @cached_property
    def samples(self) -> frozenset[int]:
        """Positions that run: the typical ones, the first of each kind, and the last of all."""
        first = {self.kinds.index(kind) for kind in set(self.kinds)}
        return self.typical | first | {len(self.blocks) - 1}

    def between(self, kind: int) -> tuple[int, ...]:
        """Positions of a kind, without the first of it and the last of all."""
        places = [at for at, its in enumerate(self.kinds) if its == kind]
        return tuple(at for at in places[1:] if at != len(self.blocks) - 1)


def repeated_blocks(model: nn.Module) -> tuple[KindsOfBlocks, ...]:
    """The outermost module lists in which there are more blocks than samples of them."""
    found: list[KindsOfBlocks] = []
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{other.path}.") for other in found)
        if isinstance(module, nn.ModuleList) and not inside and len(module) > FEWEST:
            found.append(kinds_of_blocks(path, module, getattr(model, "config", None)))
    return tuple(stack for stack in found if len(stack.samples) < len(stack.blocks))


def kinds_of_blocks(path: str, blocks: nn.ModuleList, config: Any = None) -> KindsOfBlocks:
    """Tell the kinds apart; lists in the `config` that are as long as the stack count, too."""
    traits = [_traits(block) for block in blocks]
    for name in _indices(traits):
        for one in traits:
            one.pop(name, None)
    for name, values in _lists_of(config, len(blocks)):
        for one, value in zip(traits, values, strict=True):
            one[f"config {name}"] = repr(value)
    kinds: list[Traits] = []
    for one in traits:
        if one not in kinds:
            kinds.append(one)
    return KindsOfBlocks(path, tuple(blocks), tuple(map(kinds.index, traits)))


def _traits(block: nn.Module) -> Traits:
    """All that tells what a block does, by the paths of what it is made of."""
    found: Traits = {}
    for path, module in block.named_modules():
        found[path] = type(module)
        tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, tensor in tensors:
            found[f"{path}.{name}"] = (tuple(tensor.shape), tensor.dtype)
        for name, value in vars(module).items():
            if not name.startswith("_") and name != "training":
                found[f"{path}.{name}"] = _comparable(value)
    return found


def _comparable(value: object) -> object:
    if isinstance(value, PLAIN):
        return (type(value), value)
    if isinstance(value, list | tuple):
        return tuple(map(_comparable, value))
    return type(value)


def _indices(traits: Sequence[Traits]) -> set[str]:
    """Names of what counts the blocks, from whatever number on, and says nothing else."""
    offsets: dict[str, set[int | None]] = {}
    for place, one in enumerate(traits):
        for name, value in one.items():
            found = offsets.setdefault(name, set())
            match value:
                case (kind, int(number)) if kind is int:
                    found.add(number - place)
                case _:
                    found.add(None)
    return {name for name, found in offsets.items() if len(found) == 1 and None not in found}


def _lists_of(config: Any, length: int) -> Iterator[tuple[str, Sequence[object]]]:
    """Settings of a config, and of those inside it, that have a value for each block."""
    to_dict = getattr(config, "to_dict", None)
    yield from () if to_dict is None else _lists_in(to_dict(), length)


def _lists_in(settings: Mapping[str, Any], length: int) -> Iterator[tuple[str, Sequence[object]]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", found) for inner, found in _lists_in(value, length))
        elif isinstance(value, list | tuple) and len(value) == length:
            yield name, value
