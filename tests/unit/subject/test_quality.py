"""Grades: what they say of human text, of babble and of a text that repeats itself."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.subject.quality import (
    BITS_PER_BYTE,
    DISTINCT_PAIRS,
    PASSAGES,
    PROMPTS,
    REPETITION,
    Bounds,
    Grade,
    Likelihood,
    Quality,
    distinct,
    repetition,
)

HUMAN = Likelihood(nats=100.0, tokens=25, bytes=110)
ORDER = list(Grade)
texts = st.lists(st.lists(st.integers(0, 4), max_size=40), max_size=4)
figures = st.floats(0, 10)


def as_words(text: str) -> list[int]:
    return [hash(word) for word in re.findall(r"\w+|[^\w\s]", text)]


@pytest.mark.parametrize(
    "cut", [as_words, lambda text: list(text.encode())], ids=["words", "bytes"]
)
def test_human_text_is_good_whatever_a_token_is(cut) -> None:
    written = [cut(passage)[:32] for passage in PASSAGES]
    assert Quality.of(HUMAN, written).grade is Grade.GOOD


def test_a_token_that_is_said_for_ever_is_poor() -> None:
    quality = Quality.of(HUMAN, [[7] * 32] * 3)
    assert quality.repetition == pytest.approx(28 / 29)
    assert quality.grade is Grade.POOR


def test_three_words_in_turn_are_poor() -> None:
    assert Quality.of(HUMAN, [[1, 2, 3] * 10] * 3).grade is Grade.POOR


def test_varied_babble_is_poor_by_what_it_makes_of_human_text() -> None:
    guessing = Likelihood(nats=25 * math.log(50_000), tokens=25, bytes=110)
    quality = Quality.of(guessing, [list(range(32))])
    assert (quality.repetition, quality.distinct_2) == (0.0, 1.0)
    assert quality.grade is Grade.POOR


def test_the_prompts_begin_with_the_one_that_published_samples_share() -> None:
    assert PROMPTS[0] == "The adaptive transformer architecture enables AI systems to"


def test_perplexity_and_bits_are_those_of_the_definition() -> None:
    uniform = Likelihood(nats=6 * math.log(256), tokens=6, bytes=6)
    assert uniform.perplexity == pytest.approx(256)
    assert uniform.bits_per_byte == pytest.approx(8)


def test_likelihoods_add_up() -> None:
    assert Likelihood(1.0, 2, 3) + Likelihood(4.0, 5, 6) == Likelihood(5.0, 7, 9)


def test_a_perplexity_beyond_floats_is_infinite() -> None:
    assert Likelihood(1e6, 1, 1).perplexity == math.inf


def test_sequences_are_counted_within_a_continuation_only() -> None:
    assert repetition([[1, 2, 3, 4], [1, 2, 3, 4]]) == 0.0
    assert repetition([[1, 2, 3, 4, 1, 2, 3, 4]]) == pytest.approx(1 / 5)


def test_texts_too_short_to_count_are_not_held_against_a_model() -> None:
    assert repetition([[1, 2], []]) == 0.0
    assert distinct([[1]], 2) == 1.0


@given(texts)
def test_shares_lie_between_zero_and_one(rows: list[list[int]]) -> None:
    assert 0.0 <= repetition(rows) < 1.0
    assert 0.0 < distinct(rows, 1) <= 1.0


@given(texts)
def test_renaming_the_tokens_changes_nothing(rows: list[list[int]]) -> None:
    renamed = [[100 - token for token in row] for row in rows]
    assert repetition(renamed) == repetition(rows)
    assert distinct(renamed, 2) == distinct(rows, 2)


@given(st.lists(st.integers(0, 4), min_size=8, max_size=40))
def test_saying_it_twice_never_repeats_less(row: list[int]) -> None:
    assert repetition([row + row]) >= repetition([row])


@pytest.mark.parametrize("bounds", [BITS_PER_BYTE, REPETITION, DISTINCT_PAIRS])
@given(one=figures, other=figures)
def test_a_grade_never_improves_as_its_figure_worsens(
    bounds: Bounds, one: float, other: float
) -> None:
    worse_upwards = bounds.good < bounds.fair
    better, worse = sorted((one, other), reverse=not worse_upwards)
    assert ORDER.index(bounds.grade(better)) <= ORDER.index(bounds.grade(worse))


@pytest.mark.parametrize("bounds", [BITS_PER_BYTE, REPETITION, DISTINCT_PAIRS])
def test_bounds_belong_to_the_better_grade_and_no_number_is_poor(bounds: Bounds) -> None:
    assert bounds.grade(bounds.good) is Grade.GOOD
    assert bounds.grade(bounds.fair) is Grade.FAIR
    assert bounds.grade(math.nan) is Grade.POOR


@given(bits=figures, repeated=st.floats(0, 1), pairs=st.floats(0, 1))
def test_the_grade_is_the_worst_of_the_three(bits: float, repeated: float, pairs: float) -> None:
    quality = Quality(20.0, bits, repeated, 0.9, pairs)
    grades = [
        BITS_PER_BYTE.grade(bits),
        REPETITION.grade(repeated),
        DISTINCT_PAIRS.grade(pairs),
    ]
    assert ORDER.index(quality.grade) == max(map(ORDER.index, grades))
