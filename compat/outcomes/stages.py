"""Exceptions that know at which stage of a case they were raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from compat.outcomes.outcome import Stage

Listener: TypeAlias = Callable[[Stage], None]

_ATTRIBUTE = "compat_stage"


def _nobody(stage: Stage) -> None:
    """Nobody asked to be told."""


_LISTENER: ContextVar[Listener] = ContextVar("compat_stage_listener", default=_nobody)


@contextmanager
def stages_told_to(listener: Listener) -> Iterator[None]:
    """Call `listener` with every stage that is entered inside."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def in_stage(stage: Stage) -> Iterator[None]:
    """Mark whatever is raised inside as raised at `stage`; an inner mark stays."""
    _LISTENER.get()(stage)
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
