"""Offload: weights wait where they were sent, and nobody can tell from the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.checks.registry import Area, check
from compat.targets import Mode

if TYPE_CHECKING:
    from torch import Tensor

    from compat.subject import Subject

OFFLOADED = frozenset({Mode.DISK_OFFLOAD, Mode.CPU_OFFLOAD})
DIVIDED = OFFLOADED | {Mode.AUTO}
"""Over several GPUs, or what is left of a model elsewhere: the answers are those of one device."""


@check(Area.OFFLOAD, needs={"offloaded"}, modes=OFFLOADED)
def weights_wait_where_asked(subject: Subject) -> None:
    """The weights of every decoder block wait where the mode says, in main memory or on disk."""
    subject.measure("device_map", str(subject.load_measures["device_map"]))
    subject.measure("offloaded_bytes", subject.load_measures["offloaded_bytes"])
    names = [
        name
        for block in subject.anatomy.blocks
        for name, _ in block.module.named_parameters(prefix=block.path)
    ]
    waiting, asked = subject.waiting_places, subject.mode.traits.offload
    resident = [name for name in names if name not in waiting]
    assert not resident, f"{len(resident)} weights are not offloaded: {', '.join(resident[:4])}"
    astray = [f"{name} on {waiting[name]}" for name in names if waiting[name] != asked]
    assert not astray, f"{len(astray)} weights do not wait on {asked}: {', '.join(astray[:4])}"


@check(Area.OFFLOAD, needs={"divided-weights"}, modes=DIVIDED, loads=1)
def offloaded_equals_resident(subject: Subject) -> None:
    """Logits are those of the same weights in the memory of one device."""
    reference = subject.reference
    difference = subject.assert_same(subject.run.logits, reference.logits, "offloaded logits")
    subject.measure("relative_difference", difference)
    subject.measure("reference", reference.name)


@check(Area.OFFLOAD, needs={"divided-weights"}, modes=DIVIDED, loads=1)
def offloaded_hooks_see_activations(subject: Subject) -> None:
    """A hook on an offloaded block sees real activations: those of the weights in memory."""
    reference = subject.reference
    with subject.capture() as captured:
        subject.forward(subject.text.inputs)
    for index, theirs in enumerate(reference.blocks):
        (hidden,) = captured[index]
        assert hidden.device.type != "meta", f"block {index}: the captured state has no data"
        subject.assert_same(hidden[0].cpu(), theirs, f"block {index}: captured state")


@check(Area.OFFLOAD, needs={"offloaded", "inputs-embeds"}, modes=OFFLOADED)
def offloaded_embeds_equal_ids(subject: Subject) -> None:
    """Embedding the tokens by hand and feeding the embeddings gives the logits of the ids."""
    inputs = subject.text.inputs
    embeds: Tensor = subject.embed(inputs)
    assert embeds.device.type != "meta", "the offloaded embedding gives no data"
    by_embeds = subject.logits_of_embeds(inputs, embeds)
    subject.assert_same(by_embeds, subject.logits(inputs), "logits of the embedded tokens")
