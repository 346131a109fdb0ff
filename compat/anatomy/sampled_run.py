"""A run of a model in which only some of its blocks run, and what all of them would take.

Of each kind of block two run, and the others hand on what they are given. What a block keeps and
what it takes besides depend on what it is and on the shapes that it is given, which are the same
all along a stack. So the course of memory over the whole run is put together from stretches: those
of the blocks that ran as they are, and for each that did not the one of its kind. It is the same to
the byte as that of a run of all blocks, or `IrregularBlocksError`, where two of a kind differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Self

import torch

from compat.anatomy.block_kinds import KindsOfBlocks
from compat.anatomy.kv_cache import cache_bytes, is_cache
from compat.anatomy.live_storage import LiveStorage, Stretch, TooManyOperationsError


class IrregularBlocksError(Exception):
    """What blocks take can't be told from others of their kind."""


class Way(Enum):
    """Of a run through the blocks."""

    FORWARD = auto()
    BACKWARD = auto()


@dataclass(frozen=True)
class Place:
    """A block in a stack."""

    stack: int
    position: int


@dataclass(frozen=True)
class Part:
    """A stretch, and how the cache has grown in it."""

    stretch: Stretch
    cache: int


@dataclass(frozen=True)
class Course:
    """What all of a run takes."""

    peak: int
    cache: int
    operations: int


Owner = tuple[Way, Place] | None
"""Whose stretch it is; None for what lies before and after all blocks."""
Pick = Callable[[Sequence[Any]], Any]
"""One value of an output, out of the inputs of a block."""


class SampledRun:
    """Inside of the context, blocks that are no samples hand on what they are given.

    For one forward, and the backward of its loss. Raises IrregularBlocksError where the blocks of a
    stack do not run once and in order, or where anything else is not as it has to be;
    TooManyOperationsError where all blocks together, or one of so many, would exceed
    `most_operations`.
    """

    def __init__(
        self,
        stacks: Sequence[KindsOfBlocks],
        storage: LiveStorage,
        most_operations: int | None = None,
    ) -> None:
        self._stacks = stacks
        self._storage = storage
        self._most = most_operations
        self._owner: Owner = None
        self._cache = 0
        self._cache_seen = False
        self._parts: list[tuple[Owner, Part]] = []
        self._entered: list[Place] = []
        self._templates: dict[tuple[int, int], Pick] = {}

    def __enter__(self) -> Self:
        """Put something before the forward of every block."""
        for number, stack in enumerate(self._stacks):
            for position, block in enumerate(stack.blocks):
                block.forward = partial(self._call, Place(number, position), block.forward)
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        for stack in self._stacks:
            for block in stack.blocks:
                del block.forward

    def course(self, cache: int | None) -> Course:
        """Put together the whole run, which is over; `cache` is what its cache has at the end."""
        self._require_order()
        if cache and self._entered and not self._cache_seen:
            raise IrregularBlocksError("blocks are not given the cache")
        self._begin(None, cache or 0)
        peak = live = kept = operations = 0
        for part in self._all_parts():
            peak = max(peak, live + part.stretch.peak)
            live += part.stretch.grown
            kept += part.cache
            operations += part.stretch.operations
        if self._most is not None and operations > self._most:
            raise TooManyOperationsError("more operations than were allowed")
        return Course(peak, kept, operations)

    def _call(self, place: Place, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        inputs = _inputs(args, kwargs)
        hidden = _hidden(inputs)
        self._entered.append(place)
        self._begin((Way.FORWARD, place), self._cache_in(inputs))
        stack = self._stacks[place.stack]
        template = (place.stack, stack.kinds[place.position])
        if place.position not in stack.samples:
            if template not in self._templates:
                raise IrregularBlocksError("blocks do not run in order")
            return self._templates[template](inputs)
        if hidden.requires_grad:
            told = partial(self._gradient_is_there, place)
            hidden.register_hook(told)  # type: ignore[no-untyped-call]  # torch's own
        with self._storage.at_most(self._share(place)):
            output = forward(*args, **kwargs)
        if place.position in stack.typical:
            self._templates[template] = _template(output, inputs)
        return output

    def _share(self, place: Place) -> int | None:
        """The operations that one of so many blocks may take."""
        if self._most is None:
            return None
        stack = self._stacks[place.stack]
        return self._most // stack.kinds.count(stack.kinds[place.position])

    def _gradient_is_there(self, place: Place, _gradient: torch.Tensor) -> None:
        """The backward of a block is over, and that of the sample before it begins."""
        before = self._entered[: self._entered.index(place)]
        sample = next((one for one in reversed(before) if self._is_sample(one)), None)
        self._begin(None if sample is None else (Way.BACKWARD, sample), self._cache)

    def _begin(self, owner: Owner, cache: int) -> None:
        """End the stretch that goes on, and begin that of another owner."""
        part = Part(self._storage.mark(), cache - self._cache)
        self._parts.append((self._owner, part))
        self._owner, self._cache = owner, cache

    def _cache_in(self, inputs: Sequence[Any]) -> int:
        """What the cache that a block is given holds by now."""
        if self._owner is not None and not self._is_sample(self._owner[1]):
            return self._cache
        cache = next(filter(is_cache, inputs), None)
        if cache is None:
            return self._cache
        self._cache_seen = True
        return cache_bytes(cache)

    def _require_order(self) -> None:
        for number, stack in enumerate(self._stacks):
            places = [place.position for place in self._entered if place.stack == number]
            if places and places != list(range(len(stack.blocks))):
                raise IrregularBlocksError(f"the blocks of {stack.path} do not run once, in order")

    def _all_parts(self) -> Iterator[Part]:
        """The stretches of the whole run, in order."""
        kinds = self._parts_by_kind()
        backward = any(owner is not None and owner[0] is Way.BACKWARD for owner, _ in self._parts)
        skipped_after = self._skipped_after() if backward else {}
        for owner, part in self._parts:
            if owner is None:
                yield part
                continue
            way, place = owner
            if way is Way.BACKWARD:
                # The blocks after a sample come before it on the way back.
                for later in skipped_after.pop(place):
                    yield self._of_kind(kinds, Way.BACKWARD, later)
            skipped = way is Way.FORWARD and not self._is_sample(place)
            yield self._of_kind(kinds, way, place) if skipped else part
        if any(skipped_after.values()):
            raise IrregularBlocksError("a gradient does not come to every block")

    def _skipped_after(self) -> dict[Place, list[Place]]:
        """By sample, the blocks between it and the next one, last first."""
        found: dict[Place, list[Place]] = {}
        sample: Place | None = None
        for place in self._entered:
            if self._is_sample(place):
                sample = place
                found[place] = []
            elif sample is not None:
                found[sample].insert(0, place)
        return found

    def _parts_by_kind(self) -> dict[tuple[Way, int, int], Part]:
        """What the samples between the first and the last block took. Raises if two differ."""
        found: dict[tuple[Way, int, int], Part] = {}
        for owner, part in self._parts:
            if owner is None or owner[1].position not in self._stacks[owner[1].stack].typical:
                continue
            way, place = owner
            key = (way, place.stack, self._stacks[place.stack].kinds[place.position])
            first = found.setdefault(key, part)
            if _bytes_of(first) != _bytes_of(part):
                path = self._stacks[place.stack].path
                raise IrregularBlocksError(f"blocks of a kind in {path} differ: {first}, {part}")
        return found

    def _of_kind(self, kinds: dict[tuple[Way, int, int], Part], way: Way, place: Place) -> Part:
        return kinds[way, place.stack, self._stacks[place.stack].kinds[place.position]]

    def _is_sample(self, place: Place) -> bool:
        return place.position in self._stacks[place.stack].samples


def _bytes_of(part: Part) -> tuple[int, int, int]:
    return part.stretch.grown, part.stretch.peak, part.cache


def _inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """All that a block is given, tuples taken apart, in an order that its calls share."""
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        found += value if isinstance(value, tuple) else (value,)
    return found


def _hidden(inputs: Sequence[Any]) -> torch.Tensor:
    """The hidden state: the first tensor of floating-point numbers."""
    for value in inputs:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value
    raise IrregularBlocksError("a block is given no hidden state")


def _template(output: Any, inputs: Sequence[Any]) -> Pick:
    """How the output of a block that does nothing looks, by that of one that does something.

    Where it is the hidden state, what came in; what else is handed on, as it came in.
    """
    hidden = _hidden(inputs)
    if isinstance(output, tuple):
        picks = [_template(value, inputs) for value in output]
        return lambda given: tuple(pick(given) for pick in picks)
    if output is None or isinstance(output, bool | int | float | str):
        return lambda given: output
    for place, value in enumerate(inputs):
        if value is output or _same_tensor(value, output):
            return partial(_nth, place)
    if isinstance(output, torch.Tensor) and (output.shape, output.dtype) == (
        hidden.shape,
        hidden.dtype,
    ):
        return _hidden
    if not isinstance(output, torch.Tensor):
        kind = type(output).__name__
        raise IrregularBlocksError(f"a block puts out a {kind} that it was not given")
    if output.requires_grad:
        # Attention weights, which a backward needs. They stay, whoever else lets go of them.
        return lambda given: None
    return partial(_new, output.shape, output.dtype)


def _new(shape: torch.Size, dtype: torch.dtype, given: Sequence[Any]) -> torch.Tensor:
    """As large a tensor as a block puts out and nobody reads, attention weights for one."""
    return _hidden(given).new_empty(shape, dtype=dtype)


def _nth(place: int, given: Sequence[Any]) -> Any:
    return given[place]


def _same_tensor(one: Any, other: Any) -> bool:
    """Whether two tensors are views of the same memory in the same shape."""
    return (
        isinstance(one, torch.Tensor)
        and isinstance(other, torch.Tensor)
        and one.untyped_storage()._cdata == other.untyped_storage()._cdata
        and (one.shape, one.stride(), one.storage_offset())
        == (other.shape, other.stride(), other.storage_offset())
    )
