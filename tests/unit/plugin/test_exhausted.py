"""Memory that ran out is given back before anybody formats a traceback."""

from __future__ import annotations

import weakref

import pytest
import torch

from compat.plugin.exhausted import Exhausted, give_back

CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.5 GiB"


class Taken:
    """Something large."""


def take(error: BaseException, kept: list[weakref.ref[Taken]]) -> None:
    taken = Taken()

    def closes_over() -> None:
        held = taken
        kept.append(weakref.ref(held))
        raise error

    try:
        closes_over()
    except type(error) as inner:
        raise RuntimeError("the forward failed") from inner


def after_taking(error: BaseException) -> tuple[RuntimeError, weakref.ref[Taken]]:
    kept: list[weakref.ref[Taken]] = []
    with pytest.raises(RuntimeError) as caught:
        take(error, kept)
    return caught.value, kept[0]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError(CUDA)])
def test_what_the_frames_and_their_functions_hold_is_freed(error):
    raised, taken = after_taking(error)
    assert taken() is not None
    give_back(raised)
    assert taken() is None


def test_the_last_lines_stay_as_a_note():
    raised, _ = after_taking(MemoryError())
    give_back(raised)
    (note,) = raised.__notes__
    assert 'raise RuntimeError("the forward failed") from inner' in note
    assert raised.__traceback__ is None


def test_the_cache_of_cuda_goes_back_to_the_driver(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    raised, _ = after_taking(torch.OutOfMemoryError(CUDA))
    give_back(raised)
    assert emptied == [True]


def test_any_other_failure_keeps_its_frames_for_a_debugger():
    raised, taken = after_taking(ValueError("wrong"))
    give_back(raised)
    assert taken() is not None
    assert raised.__traceback__ is not None


def test_it_is_shown_in_one_line():
    assert str(Exhausted(MemoryError("no more"))) == "MemoryError: no more"
