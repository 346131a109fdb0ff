from __future__ import annotations

import pytest
import torch
from torch import nn

from compat.interventions import skip_connections, skip_pairs


class Doubles(nn.Module):
    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, str]:
        return 2 * hidden, "cache"


def run(blocks: list[nn.Module], hidden: float = 1.0) -> float:
    state = torch.tensor([hidden])
    for block in blocks:
        state, _ = block(state)
    return float(state)


@pytest.mark.parametrize(
    ("blocks", "pairs"),
    [(1, []), (2, [(0, 1)]), (3, [(0, 2)]), (5, [(0, 4), (1, 3)]), (6, [(0, 5), (1, 4), (2, 3)])],
)
def test_each_block_of_the_first_half_has_its_mirror(
    blocks: int, pairs: list[tuple[int, int]]
) -> None:
    assert skip_pairs(blocks) == pairs


def test_an_early_state_is_added_to_its_mirror_s_output() -> None:
    blocks = [Doubles() for _ in range(5)]
    with skip_connections(blocks, lambda: 0.5):
        # 2, 4, 8, then 16 + 4 / 2 = 18, then 36 + 2 / 2
        assert run(blocks) == 37


def test_the_scale_is_asked_at_every_forward_and_0_is_exact() -> None:
    blocks, scale = [Doubles() for _ in range(3)], 0.0
    with skip_connections(blocks, lambda: scale):
        assert run(blocks) == 8
        scale = 1.0
        assert run(blocks) == 10


def test_each_forward_adds_its_own_state() -> None:
    blocks = [Doubles() for _ in range(2)]
    with skip_connections(blocks, lambda: 1.0):
        assert [run(blocks, hidden) for hidden in (1.0, 10.0)] == [6, 60]


def test_everything_is_undone() -> None:
    blocks = [Doubles() for _ in range(4)]
    with pytest.raises(KeyboardInterrupt), skip_connections(blocks, lambda: 1.0):
        raise KeyboardInterrupt
    assert run(blocks) == 16
    assert not any(block._forward_hooks for block in blocks)
