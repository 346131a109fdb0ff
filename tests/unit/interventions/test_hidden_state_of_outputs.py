from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from compat.interventions import hidden_of, with_hidden

HIDDEN = torch.arange(24.0).reshape(2, 3, 4)
CACHE = object()


@pytest.mark.parametrize(
    "output",
    [HIDDEN, (HIDDEN,), (HIDDEN, CACHE), [HIDDEN, CACHE], SimpleNamespace(hidden_states=HIDDEN)],
    ids=["tensor", "tuple of one", "tuple", "list", "object"],
)
def test_the_hidden_state_is_found_whole(output: Any) -> None:
    assert hidden_of(output) is HIDDEN


@pytest.mark.parametrize("output", [(), [], None, (None, HIDDEN), {"hidden_states": HIDDEN}])
def test_an_output_without_a_hidden_state_is_refused(output: Any) -> None:
    with pytest.raises(TypeError, match="holds no hidden state"):
        hidden_of(output)


def test_another_hidden_state_goes_in_the_place_of_a_tensor() -> None:
    other = torch.zeros(2, 3, 4)
    assert with_hidden(HIDDEN, other) is other


@pytest.mark.parametrize("kind", [tuple, list])
def test_what_stands_beside_the_hidden_state_stays(kind: type) -> None:
    other = torch.zeros(2, 3, 4)
    changed = with_hidden(kind((HIDDEN, CACHE, None)), other)
    assert type(changed) is kind
    assert changed[0] is other
    assert list(changed[1:]) == [CACHE, None]


def test_putting_a_state_into_an_unknown_output_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType, which holds no hidden state"):
        with_hidden(None, HIDDEN)
