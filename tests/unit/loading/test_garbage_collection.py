"""Old objects are left out of garbage collections while something is loaded."""

from __future__ import annotations

import gc
import weakref

import pytest

from compat.loading import memory
from compat.loading.memory import older_objects_uncollected


class Knot:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


def made_old_while_frozen() -> weakref.ref[Knot]:
    """A knot that became garbage among the objects that were left out."""
    knot = Knot()
    with older_objects_uncollected():
        found = weakref.ref(knot)
        del knot
        gc.collect()
        assert found() is not None
    return found


def test_what_became_garbage_while_frozen_is_collected_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with older_objects_uncollected():
        pass  # the clock runs from the first load
    monkeypatch.setattr(memory, "SECONDS_BETWEEN_FULL_COLLECTIONS", 3600.0)
    waits = made_old_while_frozen()
    assert waits() is not None
    monkeypatch.setattr(memory, "SECONDS_BETWEEN_FULL_COLLECTIONS", 0.0)
    assert made_old_while_frozen()() is None
    assert waits() is None


def test_an_inner_load_leaves_the_outer_one_s_objects_frozen() -> None:
    with older_objects_uncollected():
        with older_objects_uncollected():
            pass
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_a_load_that_fails_unfreezes_and_the_next_one_freezes_again() -> None:
    with pytest.raises(OSError, match="disk"), older_objects_uncollected():
        raise OSError("disk")
    assert gc.get_freeze_count() == 0
    with older_objects_uncollected():
        assert gc.get_freeze_count() > 0
