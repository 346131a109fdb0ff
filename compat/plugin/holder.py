"""One loaded target at a time: opened when its first case comes, released before the next one's."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from compat.outcomes import CannotRun
from compat.outcomes.triage import is_out_of_memory
from compat.plugin.exhausted import Exhausted, give_back
from compat.plugin.foreseen import Foreseen, ShownBefore
from compat.targets.plan import PlannedTarget

if TYPE_CHECKING:
    from compat.plugin.shelf import Shelf
    from compat.results.record import Measures
    from compat.runner import AnySubject


LAST = ("last_exc", "last_value", "last_type", "last_traceback")
"""What Python and pytest keep in `sys` for a debugger."""


class WeightsChangedError(AssertionError):
    """Found at the end of a target, when it can no longer be said which case it was."""


class Holder:
    """Keeps the target that is loaded, and remembers the one that would not load."""

    def __init__(
        self,
        open_target: Callable[[PlannedTarget], AbstractContextManager[AnySubject]],
        shelf: Shelf,
    ) -> None:
        self._open_target = open_target
        self._shelf = shelf
        self._stack = ExitStack()
        self._planned: PlannedTarget | None = None
        self._failure: BaseException | None = None
        self._shown = False
        self._load_notes: Measures = {}
        self._findings: list[BaseException] = []
        self.present: AnySubject | None = None
        self.loads = 0
        """How many targets were loaded, or could not be."""

    def is_load_failure(self, exception: BaseException) -> bool:
        """Whether this is how the present target failed to load."""
        return exception is self._failure

    def has_open(self, planned: PlannedTarget) -> bool:
        """Whether this target is loaded."""
        return self.present is not None and self._planned == planned

    def subject(self, planned: PlannedTarget) -> AnySubject:
        """The loaded target. Raises, for every case of it alike, what opening it raised."""
        __tracebackhide__ = True
        if self._planned != planned:
            self.release(keep_load=self._shelf.holds(planned.target.load_key))
            self._open(planned)
        if isinstance(self._failure, CannotRun):
            raise Foreseen(self._failure)
        if self._failure is not None:
            if is_out_of_memory(self._failure):
                raise Exhausted(self._failure)
            if self._shown:
                raise ShownBefore(self._failure)
            self._shown = True
            raise self._failure
        assert self.present is not None
        return self.present

    def take_notes(self) -> tuple[Measures, str | None, str | None]:
        """Measures and sample of the case that has just run, and the revision it ran on.

        The first case of a target carries what was measured in loading it.
        """
        measures, self._load_notes = self._load_notes, {}
        if self.present is None:
            return measures, None, None
        measures = measures | self.present.take_measures()
        return measures, self.present.take_sample(), self.present.revision

    def keep_until_release(self, finding: BaseException) -> None:
        """Note what a case has raised: its frames are there for a debugger, and hold the model."""
        self._findings.append(finding)

    def verify(self) -> None:
        """Raise WeightsChangedError unless the weights are what they were after loading."""
        if self.present is not None and not self.present.fingerprint_unchanged():
            raise WeightsChangedError(
                "the weights are not what they were after loading: a case of this target has "
                "changed them"
            )

    def release(self, *, keep_load: bool = False) -> None:
        """Free the target, and what failing cases still hold of it.

        `keep_load` leaves what it was loaded as for the next target, which shares it.
        """
        for name in LAST:
            if hasattr(sys, name):
                delattr(sys, name)
        for finding in (*self._findings, self._failure):
            for error in _chain(finding):
                _empty(error)
        self._findings.clear()
        self._planned = self.present = self._failure = None
        self._shown = False
        stack, self._stack = self._stack, ExitStack()
        try:
            stack.close()
        except BaseException:  # Ctrl-C too: tidied up, and raised on
            keep_load = False
            raise
        finally:
            if not keep_load:
                self._shelf.clear()

    def _open(self, planned: PlannedTarget) -> None:
        self._planned = planned
        self.loads += not self._shelf.holds(planned.target.load_key)
        began = time.perf_counter()
        try:
            self.present = self._stack.enter_context(self._open_target(planned))
        except Exception as error:  # raised in each of the target's cases, and judged there
            self._failure = error
        if self._failure is not None:
            give_back(self._failure)
        self._load_notes = {"open_seconds": round(time.perf_counter() - began, 6)}
        if self.present is not None:
            self._load_notes |= self.present.load_measures


def _empty(error: BaseException) -> None:
    """Empty the frames of a traceback: pytest holds them in cycles, which nobody collects soon."""
    traceback.clear_frames(error.__traceback__)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        # Before Python 3.13 a frame that was looked at keeps a copy of its variables, which is
        # brought up to date by looking again.
        _ = frame.f_locals
    error.__traceback__ = None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and all that it came from."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            waiting += [one.__cause__, one.__context__]
            yield one
