"""Mean activations: which block they are read at, and what counts in them."""

from __future__ import annotations

import pytest
import torch

from compat.subject.calibration import (
    NoUsableBlockError,
    first_usable,
    mean_over_text,
    usable_blocks,
)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(12, (11, 10, 6, 0)), (3, (2, 1, 0)), (2, (1, 0)), (1, (0,))],
)
def test_last_second_last_middle_and_first_block_are_tried_in_this_order(count, expected):
    assert usable_blocks(count) == expected


def test_the_first_block_without_nan_or_infinity_is_used():
    good, nan, infinite = torch.zeros(4), torch.full((4,), torch.nan), torch.full((4,), torch.inf)
    assert first_usable([good, good, good, good]) == 3
    assert first_usable([good, good, good, nan]) == 2
    assert first_usable([good, good, nan, infinite]) == 0


def test_one_nan_makes_a_block_unusable():
    states = torch.zeros(5, 8)
    states[3, 7] = torch.nan
    with pytest.raises(NoUsableBlockError, match=r"blocks \[0\] all hold NaN"):
        first_usable([states])


def test_no_block_is_invented_where_all_that_are_tried_hold_nan():
    good, bad = torch.zeros(4), torch.full((4,), torch.nan)
    blocks = [bad, good, good, bad, good, bad, bad]
    with pytest.raises(NoUsableBlockError, match=r"\[6, 5, 3, 0\]"):
        first_usable(blocks)


def test_padding_does_not_count_whatever_it_holds():
    hidden = torch.tensor([[[torch.nan], [1.0], [3.0]], [[2.0], [4.0], [6.0]]])
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    assert mean_over_text(hidden, mask).tolist() == [[2.0], [4.0]]


def test_a_nan_among_the_texts_own_tokens_shows_in_its_row_alone():
    hidden = torch.ones(2, 3, 2)
    hidden[0, 1, 0] = torch.nan
    means = mean_over_text(hidden, torch.ones(2, 3))
    assert means.isnan().tolist() == [[True, False], [False, False]]


def test_the_mean_of_half_precision_states_is_taken_in_float32():
    hidden = torch.full((1, 4000, 1), 30.0, dtype=torch.float16)
    assert mean_over_text(hidden, torch.ones(1, 4000)).item() == 30.0
