from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import Gemma3TextConfig, GPT2Config, GPTNeoXConfig, LlamaConfig

from compat.subject.positions import (
    LENGTH,
    Repeated,
    announced_frequencies,
    announces_rotation,
    beyond_distance,
    published_slopes,
    told_apart,
    turning,
    turns_nothing,
)

TIME = torch.arange(LENGTH, dtype=torch.float64)


def model_of(config: Any) -> Any:
    return SimpleNamespace(config=config)


def turned(*frequencies: float) -> torch.Tensor:
    """Numbers, (length, width), that turn by these frequencies from different angles."""
    waves = [(f * TIME + phase).cos() for phase, f in enumerate(frequencies)]
    return torch.stack(waves, dim=-1)


@pytest.mark.parametrize(
    ("heads", "slopes"),
    [
        (1, [2**-8]),
        (4, [2**-2, 2**-4, 2**-6, 2**-8]),
        (6, [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]),
        (8, [2.0**-head for head in range(1, 9)]),
    ],
)
def test_slopes_are_those_of_the_paper(heads: int, slopes: list[float]) -> None:
    assert published_slopes(heads).tolist() == slopes


@pytest.mark.parametrize("heads", [3, 8, 12, 32, 71, 112])
def test_slopes_are_those_of_transformers(heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    bias = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)
    torch.testing.assert_close(published_slopes(heads).float(), bias[:, 0, 1])


def test_angles_follow_from_base_and_width() -> None:
    config = LlamaConfig(hidden_size=32, num_attention_heads=4, rope_theta=10_000.0)
    expected = torch.tensor([1, 0.1, 0.01, 0.001], dtype=torch.float64)
    torch.testing.assert_close(announced_frequencies(model_of(config), 0, LENGTH), expected)


def test_a_share_of_a_head_may_be_turned() -> None:
    config = GPTNeoXConfig(
        hidden_size=64,
        num_attention_heads=4,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 0.25,
        },
    )
    assert announced_frequencies(model_of(config), 0, LENGTH).tolist() == [1.0, 0.01]


def test_kinds_of_layers_have_angles_of_their_own() -> None:
    config = Gemma3TextConfig(
        num_hidden_layers=2,
        head_dim=8,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            "full_attention": {"rope_type": "linear", "rope_theta": 1e4, "factor": 8.0},
        },
    )
    sliding, full = (announced_frequencies(model_of(config), block, LENGTH) for block in (0, 1))
    torch.testing.assert_close(full, sliding / 8, rtol=1e-6, atol=0)


def test_a_config_without_angles_announces_none() -> None:
    assert not announces_rotation(model_of(GPT2Config()))
    assert announces_rotation(model_of(LlamaConfig()))


def test_a_config_may_leave_blocks_unturned() -> None:
    config = LlamaConfig()
    assert not turns_nothing(model_of(config), 0)
    config.no_rope_layers = [1, 0]
    assert [turns_nothing(model_of(config), block) for block in (0, 1)] == [False, True]


def test_what_turns_is_told_by_its_frequency() -> None:
    frequencies = torch.tensor([1.0, 0.1, 0.0], dtype=torch.float64)
    which, left_over = turning(turned(0.1, 1.0, 0.0, 0.1), frequencies)
    assert which.tolist() == [1, 0, 2, 1]
    assert float(left_over.max()) < 1e-6


def test_what_turns_otherwise_is_left_over() -> None:
    _, left_over = turning(turned(1.0, 0.2), torch.tensor([1.0, 0.1, 0.0], dtype=torch.float64))
    assert float(left_over[0]) < 1e-6
    assert float(left_over[1]) > 0.1


def test_frequencies_that_hardly_turn_are_not_told_apart() -> None:
    frequencies = torch.tensor([1.0, 0.1, 1e-6, 0.0], dtype=torch.float64)
    assert told_apart(frequencies, 1e-4) == [0, 1]
    assert told_apart(frequencies[:2], 1e-4) == [0, 1]


def test_scores_of_rotated_vectors_depend_on_distance_alone() -> None:
    angle = 0.3 * TIME
    queries = torch.stack([angle.cos(), angle.sin()], dim=-1)[None]
    assert beyond_distance(Repeated(0, queries, queries)) < 1e-12
    backwards = torch.stack([angle.cos(), -angle.sin()], dim=-1)[None]
    assert beyond_distance(Repeated(0, queries, backwards)) > 0.1
