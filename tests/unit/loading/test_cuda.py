"""The probe for a broken CUDA context, with stand-ins for torch: no GPU is needed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from compat.loading.cuda import cuda_is_broken


def fine(device: int | None = None) -> None:
    pass


def asserts(device: int | None = None) -> None:
    raise RuntimeError("CUDA error: device-side assert triggered")


def asserts_on_the_second(device: int | None = None) -> None:
    if device == 1:
        asserts()


@pytest.mark.parametrize(
    ("initialized", "synchronize", "broken"),
    [
        (True, fine, False),
        (True, asserts, True),
        (True, asserts_on_the_second, True),
        (False, asserts, False),
    ],
)
def test_a_context_is_broken_when_it_can_not_be_waited_for(
    monkeypatch, initialized, synchronize, broken
):
    cuda = SimpleNamespace(
        is_initialized=lambda: initialized, synchronize=synchronize, device_count=lambda: 2
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert cuda_is_broken() is broken


def test_without_torch_there_is_no_context(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert not cuda_is_broken()
