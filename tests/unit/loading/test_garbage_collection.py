"""Old objects are left out of garbage collections while something is loaded."""

from __future__ import annotations

import gc

import pytest

from compat.loading.memory import older_objects_uncollected


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
