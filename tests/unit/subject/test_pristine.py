from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from compat.subject import NotPristineError
from compat.subject.pristine import Snapshot, fingerprint


@pytest.fixture
def model() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.BatchNorm1d(4)).eval()
    model.register_buffer("scale", torch.ones(1))
    return model


def write(tensor: torch.Tensor) -> None:
    with torch.no_grad():
        tensor.mul_(2)


def backward(model: nn.Module) -> None:
    model(torch.ones(2, 4)).sum().backward()


TRACES: dict[str, tuple[str, Callable[[nn.Module], object]]] = {
    "forward hook": ("hooks on 0", lambda m: m[0].register_forward_hook(print)),
    "forward pre-hook": ("hooks on 0", lambda m: m[0].register_forward_pre_hook(print)),
    "backward hook": ("hooks on 0", lambda m: m[0].register_full_backward_hook(print)),
    "backward pre-hook": ("hooks on 0", lambda m: m[0].register_full_backward_pre_hook(print)),
    "hook on the model": ("hooks on model", lambda m: m.register_forward_hook(print)),
    "weight written to": ("tensors written to .*: 0.weight$", lambda m: write(m[0].weight)),
    "buffer written to": ("tensors written to .*: scale$", lambda m: write(m.scale)),
    "weight replaced": (
        "tensors .* replaced: 0.weight$",
        lambda m: setattr(m[0], "weight", nn.Parameter(m[0].weight.detach().clone())),
    ),
    "parameter added": (
        "tensors .* replaced: gate$",
        lambda m: m.register_parameter("gate", nn.Parameter(torch.ones(1))),
    ),
    "parameter taken away": (
        "tensors .* replaced: 0.bias$",
        lambda m: m[0].register_parameter("bias", None),
    ),
    "training mode": ("training mode changed on 1$", lambda m: m[1].train()),
    "gradient": ("gradients on 0.bias, 0.weight, 2.bias, 2.weight$", backward),
    "frozen": ("requires_grad changed on 0.weight$", lambda m: m[0].weight.requires_grad_(False)),
}


@pytest.mark.parametrize("trace", TRACES)
def test_every_trace_is_named(trace: str, model: nn.Module) -> None:
    says, leave = TRACES[trace]
    before = Snapshot.of(model)
    leave(model)
    with pytest.raises(NotPristineError, match=says):
        before.require_equal(Snapshot.of(model))


def test_a_forward_leaves_no_trace(model: nn.Module) -> None:
    before = Snapshot.of(model)
    with torch.no_grad():
        model(torch.ones(2, 4))
    before.require_equal(Snapshot.of(model))


def test_a_hook_that_was_removed_is_no_trace(model: nn.Module) -> None:
    before = Snapshot.of(model)
    model[0].register_forward_hook(print).remove()
    before.require_equal(Snapshot.of(model))


def test_a_hook_in_the_place_of_another_is_a_trace(model: nn.Module) -> None:
    ours = model[0].register_forward_hook(print)
    before = Snapshot.of(model)
    ours.remove()
    model[0].register_forward_hook(print)
    with pytest.raises(NotPristineError, match="hooks on 0"):
        before.require_equal(Snapshot.of(model))


def test_offloaded_weights_may_be_replaced_by_other_empty_ones() -> None:
    model = nn.Linear(4, 4, device="meta")
    before = Snapshot.of(model)
    model.weight = nn.Parameter(torch.empty(4, 4, device="meta"))
    before.require_equal(Snapshot.of(model))


def test_a_weight_that_stays_in_memory_after_an_offloaded_forward_is_a_trace() -> None:
    model = nn.Linear(4, 4, device="meta")
    before = Snapshot.of(model)
    model.weight = nn.Parameter(torch.ones(4, 4))
    with pytest.raises(NotPristineError, match="weight"):
        before.require_equal(Snapshot.of(model))


def test_many_traces_are_counted_and_some_are_named(model: nn.Module) -> None:
    before = Snapshot.of(model)
    for tensor in (*model.parameters(), *model.buffers()):
        write(tensor)
    with pytest.raises(NotPristineError, match="and 4 more"):
        before.require_equal(Snapshot.of(model))


def test_the_fingerprint_sees_a_write_that_no_version_counter_sees(model: nn.Module) -> None:
    taken, before = fingerprint(model), Snapshot.of(model)
    model[0].weight.data.add_(1)
    before.require_equal(Snapshot.of(model))
    assert fingerprint(model) != taken


def test_the_fingerprint_sees_weights_that_change_places(model: nn.Module) -> None:
    taken = fingerprint(model)
    norm = model[2]
    norm.weight.data.fill_(3)
    changed = fingerprint(model)
    norm.weight.data, norm.bias.data = norm.bias.data, norm.weight.data
    assert len({taken, changed, fingerprint(model)}) == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int8, torch.uint8])
def test_the_fingerprint_reads_every_dtype(dtype: torch.dtype) -> None:
    model = nn.Module()
    model.register_buffer("codes", torch.ones(3, dtype=dtype))
    taken = fingerprint(model)
    model.codes[1] = 2
    assert fingerprint(model) != taken
