"""Structure: what the registry says of a model is what transformers builds from its config."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from compat.checks.registry import Area, check
from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import BlockFacts, ModelSpec
from compat.targets import Mode, Weights
from compat.weights.headers import stored_weights
from compat.weights.local import UNKNOWN_LICENSE

if TYPE_CHECKING:
    from compat.anatomy.blocks import Stack
    from compat.anatomy.meta_build import BuiltStructure
    from compat.subject import Subject

GIGABYTE = 1e9
ROUNDING = 0.01
"""Share of its size that a registry entry may round away."""

_Fact = tuple[str, Any, Any]
"""Name, what the registry says, what is so."""


class RegistryEntry(Protocol):
    """The subject of a check that needs no weights: an entry of the registry."""

    spec: ModelSpec

    def measure(self, name: str, value: float | int | str | bool | list[float] | None) -> None:
        """Record a figure beside the outcome."""


@check(Area.STRUCTURE, modes={Mode.META}, weights={Weights.CONFIG}, per="model")
def structure_matches_registry(subject: RegistryEntry) -> None:
    """Built at full size without weights, the model is what the registry says it is."""
    spec = subject.spec
    if not spec.native:
        raise CannotRun(_no_class_of_its_own(spec))
    # The check modules are read at collection, which must not import torch.
    from compat.anatomy.meta_build import build_on_meta

    started = perf_counter()
    built = build_on_meta(spec.model_type, spec.config_arguments(), spec.model_class.value)
    subject.measure("build_seconds", perf_counter() - started)
    subject.measure("parameters", built.parameters)
    subject.measure("outline", built.outline.model_dump_json())
    differing = [
        f"{name}: the registry says {said}, transformers builds {found}"
        for name, said, found in _facts(spec, built)
        if said != found
    ]
    assert not differing, "; ".join(differing)


@check(Area.STRUCTURE, weights={Weights.HUB})
def checkpoint_matches_registry(subject: Subject) -> None:
    """What the registry says of the checkpoint on the hub is what the checkpoint says itself."""
    differing = [
        f"{name}: the registry says {said}, the checkpoint {found}"
        for name, said, found in _stored_facts(subject)
        if said != found
    ]
    assert not differing, "; ".join(differing)


def _stored_facts(subject: Subject) -> Iterator[_Fact]:
    """Config, sizes and formats; a key that the stored config leaves to its class is no fact."""
    spec, shape, folder = subject.spec, subject.checkpoint.shape, subject.checkpoint.folder
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for key, said in spec.config.items():
        if key in config:
            yield f"config key {key}", said, config[key]
    yield "blocks", spec.blocks.count, shape.blocks
    yield "hidden width", spec.widths.hidden, shape.hidden
    yield "vocabulary", spec.widths.vocabulary, shape.vocabulary
    yield from _hub_facts(spec, subject.checkpoint.notes)
    quantization = (config.get("quantization_config") or {}).get("quant_method")
    yield "quantization", spec.checkpoint.quantization, quantization
    weights = stored_weights(folder)
    if not weights.tensors:  # pickled: their formats can't be read without running them
        return
    if quantization is None:
        yield "dtype", spec.checkpoint.dtype, weights.dtype
        if subject.target.mode.traits.quantization is None:
            parameters = sum(parameter.numel() for parameter in subject.model.parameters())
            yield "parameters", spec.parameters, parameters
    said, found = spec.checkpoint.gb, weights.size / GIGABYTE
    if abs(said - found) > ROUNDING * found:
        yield "GB", said, round(found, 3)


def _hub_facts(spec: ModelSpec, notes: Mapping[str, str | bool | int]) -> Iterator[_Fact]:
    """Licence and gate, where the hub was asked; what a registry does not know is no difference."""
    stored = spec.checkpoint
    if "hub_license" in notes and stored.license != UNKNOWN_LICENSE:
        yield "licence", stored.license or "none", notes["hub_license"]
    if "hub_gated" in notes and stored.gated is not None:
        yield "gated", stored.gated, notes["hub_gated"]


def _no_class_of_its_own(spec: ModelSpec) -> Reason:
    return Reason(
        ReasonCode.REMOTE_CODE,
        f"transformers has no class of its own for model_type {spec.model_type!r}",
        "nothing to do without the network: its class is code on the hub, and its facts are "
        "judged where its hub checkpoint is loaded with remote code allowed",
    )


def _facts(spec: ModelSpec, built: BuiltStructure) -> Iterator[_Fact]:
    shape, widths = built.shape, spec.widths
    yield "architecture", spec.architecture, built.architecture
    yield from _stack_facts("decoder", spec.blocks, shape.blocks, built.decoder, built.lists)
    yield from _stack_facts(
        "encoder", spec.encoder, shape.encoder_blocks, built.encoder, built.lists
    )
    yield from _stack_facts("vision", spec.vision, shape.vision_blocks, built.vision, built.lists)
    yield "hidden width", widths.hidden, shape.hidden
    yield "vocabulary", widths.vocabulary, built.vocabulary
    yield "heads", widths.heads, shape.heads
    yield "key-value heads", widths.key_value_heads, shape.key_value_heads
    yield "head width", widths.head, shape.head
    yield "parameters", spec.parameters, built.parameters


def _stack_facts(
    kind: str,
    said: BlockFacts | None,
    announced: int | None,
    stack: Stack | None,
    lists: tuple[str, ...],
) -> Iterator[_Fact]:
    """Number, class and place of one kind of blocks.

    A stack that the config announces and that is not there is one difference: its class and place
    say no more.
    """
    count = None if said is None else said.count
    if announced is not None and stack is None:
        yield f"{kind} blocks", count, f"no list of the announced {announced} ({', '.join(lists)})"
        return
    yield f"{kind} blocks", count, announced
    if said is not None and stack is not None:
        yield f"{kind} block class", _joined(said.classes), _joined(stack.block_class.split("+"))
        yield f"{kind} path", said.path, stack.path


def _joined(classes: Iterable[str]) -> str:
    return "+".join(sorted(classes))
