"""Shows how a run stands while it goes on, from a thread: tests keep the others busy.

On a terminal that can do it, in a few lines below whatever pytest writes; elsewhere in one plain
line for a stage of a target that takes long.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import pytest

from compat.plugin.session import SESSION
from compat.plugin.terminal import SCREEN
from compat.plugin.workers import MAIN

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

    from compat.plugin.activity import Activity, Observed
    from compat.plugin.progress import Progress

INTERVAL = 0.5
"""Seconds between two looks at the processes."""


class Live:
    """Watches the processes of a run; registered where its terminal is."""

    def __init__(self, config: pytest.Config, progress: Progress) -> None:
        self._config = config
        self._progress = progress
        self._observed: dict[str, Observed] = {}
        self._in_debugger = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compat-live", daemon=True)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Watch this process, and whichever are started, as long as tests run."""
        here = self._config.stash.get(SESSION, None)
        if here is not None and not session.config.option.collectonly:
            self._observe(MAIN, os.getpid())
        try:
            return (yield)
        finally:
            self._end()

    @pytest.hookimpl(optionalhook=True, trylast=True)  # when the controller's session is there
    def pytest_xdist_node_collection_finished(self, node: WorkerController) -> None:
        """Watch a worker."""
        from compat.plugin.death import process_of

        process = process_of(node)
        if process is not None and SESSION in self._config.stash:
            self._observe(node.gateway.id, process.pid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        """Watch a worker no longer."""
        self._observed.pop(node.gateway.id, None)

    def pytest_enter_pdb(self) -> None:
        """Leave the terminal to the debugger."""
        self._in_debugger = True
        if SCREEN in self._config.stash:
            self._config.stash[SCREEN].keep_below(())

    def pytest_leave_pdb(self) -> None:
        """Go on where the debugger has ended."""
        self._in_debugger = False

    def _observe(self, worker: str, pid: int) -> None:
        if not self._progress.standing.targets or self._config.get_verbosity() < 0:
            return
        from compat.plugin.activity import Observed

        records = self._config.stash[SESSION].records_of(worker)
        self._observed[worker] = Observed(worker, pid, records)
        if SCREEN not in self._config.stash:
            self._begin()

    def _begin(self) -> None:
        from compat.plugin.screen import Screen

        # pytest has no other way to write through somebody who knows what is below.
        writer = self._config.get_terminal_writer()
        self._given = writer._file
        writer._file = self._config.stash[SCREEN] = Screen(self._given)
        self._thread.start()

    def _end(self) -> None:
        self._stop.set()
        if SCREEN in self._config.stash:
            self._thread.join()
            self._config.get_terminal_writer()._file = self._given
            self._config.stash[SCREEN].close()
            del self._config.stash[SCREEN]

    @property
    def _draws(self) -> bool:
        """Whether nobody but pytest writes to the terminal, and it can keep lines below."""
        option = self._config.option
        shared = option.capture == "no" or option.usepdb or option.trace
        return not shared and self._config.stash[SCREEN].draws

    def _run(self) -> None:
        show = self._draw if self._draws else self._tell
        while not self._stop.wait(INTERVAL):
            activities = [one.look() for one in list(self._observed.values())]
            if not self._in_debugger:
                try:
                    show([activity for activity in activities if activity is not None])
                except OSError:  # the terminal has gone; the run goes on
                    return

    def _draw(self, activities: Sequence[Activity]) -> None:
        from compat.plugin.picture import picture

        screen = self._config.stash[SCREEN]
        lines = picture(self._progress.standing, activities, time.monotonic(), screen.size)
        screen.keep_below(lines)

    def _tell(self, activities: Sequence[Activity]) -> None:
        from compat.plugin.picture import in_a_line

        for activity in activities:
            observed = self._observed.get(activity.worker)
            if observed is not None and observed.tell_once(activity):
                self._config.stash[SCREEN].line(in_a_line(activity))
