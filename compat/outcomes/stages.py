"""Exceptions that know at which stage of a case they were raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compat.outcomes.outcome import Stage

_ATTRIBUTE = "compat_stage"


@contextmanager
def in_stage(stage: Stage) -> Iterator[None]:
    """Mark whatever is raised inside as raised at `stage`; an inner mark stays."""
    try:
        yield
    except BaseException as error:  # every one passes on, marked
        if getattr(error, _ATTRIBUTE, None) is None:
            setattr(error, _ATTRIBUTE, stage)
        raise


def stage_of(error: BaseException, default: Stage = Stage.CHECK) -> Stage:
    """The stage at which `error` was raised."""
    stage = getattr(error, _ATTRIBUTE, None)
    return stage if isinstance(stage, Stage) else default
