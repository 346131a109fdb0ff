from __future__ import annotations

from typing import Any

import pytest
import torch

from compat.subject.inputs import Inputs, pad_rows
from compat.subject.text import text_stream
from compat.targets import Lesson

END = 99
LESSON = Lesson(prompt="ab", continuation="cde")


class Letters:
    """One token a letter; `begin` and `end` are what some tokenizers add to every text."""

    def __init__(
        self, end: int | None = END, before: tuple[int, ...] = (), after: tuple[int, ...] = ()
    ) -> None:
        self.eos_token_id = end
        self.before, self.after = before, after

    def __call__(self, text: str | None = None, text_target: str | None = None) -> dict[str, Any]:
        letters = [ord(letter) - ord("a") for letter in text or text_target or ""]
        return {"input_ids": [*self.before, *letters, *self.after]}


def stream(tokenizer: Any, encoder: bool = False) -> Any:
    return text_stream(LESSON, tokenizer, encoder=encoder, start_token=7)


def test_a_decoder_reads_the_whole_text_and_predicts_the_next_token() -> None:
    text = stream(Letters())
    assert text.inputs.ids.tolist() == [[0, 1, 2, 3, 4]]
    assert text.labels.tolist() == [[1, 2, 3, 4, END]]
    assert text.continuation.tolist() == [2, 3, 4, END]
    assert text.prompt().ids.tolist() == [[0, 1]]
    assert text.prompt(recited=2).ids.tolist() == [[0, 1, 2, 3]]


def test_an_end_that_the_tokenizer_adds_is_not_added_twice_nor_left_in_the_prompt() -> None:
    text = stream(Letters(after=(END,)))
    assert text.continuation.tolist() == [2, 3, 4, END]
    assert text.prompt().ids.tolist() == [[0, 1]]


def test_a_beginning_that_the_tokenizer_adds_belongs_to_the_prompt() -> None:
    text = stream(Letters(before=(50,)))
    assert text.prompt().ids.tolist() == [[50, 0, 1]]
    assert text.continuation.tolist() == [2, 3, 4, END]


def test_without_an_end_of_text_the_text_just_stops() -> None:
    assert stream(Letters(end=None)).continuation.tolist() == [2, 3, 4]


def test_an_encoder_reads_the_prompt_and_its_decoder_recites_from_the_start_token() -> None:
    text = stream(Letters(after=(END,)), encoder=True)
    assert text.inputs.encoder_ids.tolist() == [[0, 1, END]]
    assert text.inputs.ids.tolist() == [[7, 2, 3, 4]]
    assert text.continuation.tolist() == [2, 3, 4, END]
    assert text.prompt().ids.tolist() == [[7]]


def test_a_prompt_that_is_no_prefix_of_the_text_is_refused() -> None:
    class Merging(Letters):
        def __call__(self, text: str | None = None, text_target: str | None = None) -> Any:
            return {"input_ids": [len(text or "")]}

    with pytest.raises(ValueError, match="no prefix"):
        stream(Merging())


@pytest.mark.parametrize(
    ("side", "row", "row_mask"), [("left", [0, 0, 4], [0, 0, 1]), ("right", [4, 0, 0], [1, 0, 0])]
)
def test_rows_are_padded_on_one_side_and_only_padding_is_masked(
    side: Any, row: list[int], row_mask: list[int]
) -> None:
    ids, mask = pad_rows([torch.tensor([1, 2, 3]), torch.tensor([4])], 0, side)
    assert ids.tolist() == [[1, 2, 3], row]
    assert mask.tolist() == [[1, 1, 1], row_mask]


def test_positions_count_from_the_first_token_that_is_no_padding() -> None:
    ids, mask = pad_rows([torch.tensor([1, 2, 3]), torch.tensor([4, 5])], 0, "left")
    assert Inputs(ids, mask).position_ids.tolist() == [[0, 1, 2], [0, 0, 1]]


def test_inputs_cut_short_keep_what_the_encoder_reads() -> None:
    inputs = Inputs.of(torch.tensor([[1, 2, 3]]), torch.tensor([[8, 9]])).first(2)
    assert (inputs.ids.tolist(), inputs.mask.tolist()) == ([[1, 2]], [[1, 1]])
    assert inputs.encoder_ids is not None
    assert inputs.encoder_ids.tolist() == [[8, 9]]
