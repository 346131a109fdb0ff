"""What the controller of a distributed run adds: who gets which GPU, and what a dead worker did."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from compat.plugin.session import SESSION, CompatSession
from compat.plugin.stash import PROBLEM, PROBLEM_KEY
from compat.plugin.workers import GPU_ENTRY, GPU_USABLE, RUN_ID, VISIBLE, gpu_entries

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

    from compat.plugin.scheduling import TargetScheduling
    from compat.targets.devices import Host

SECONDS_TO_DIE = 5
INTERRUPTED = "keyboard-interrupt"
"""What xdist calls it when a worker, and not its controller, got the Ctrl-C."""
TARGETS_STAY_TOGETHER = "load"
"""The `--dist` whose place this scheduler takes; another was asked for by name, and stands."""


class Controller:
    """Hooks of xdist; registered in its controller alone."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._run = ""
        self._gpu_of: dict[str, str] = {}
        """Worker -> its entry of CUDA_VISIBLE_DEVICES."""
        self._deaths: dict[str, str] = {}
        """Worker -> how it died."""

    @cached_property
    def _host(self) -> Host:
        from compat.targets.devices import this_host

        return this_host()

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a worker which run it belongs to, and which GPU is its own."""
        from compat.results.writer import new_run_id

        self._run = self._run or new_run_id()
        worker = node.gateway.id
        gpus = len(self._host.gpus) if self._host.gpu_usable else 0
        taken = set(self._gpu_of.values())
        entries = gpu_entries(gpus, os.environ.get(VISIBLE))
        own = next((entry for entry in entries if entry not in taken), "")
        if own:
            self._gpu_of[worker] = own
        node.workerinput |= {RUN_ID: self._run, GPU_USABLE: bool(gpus), GPU_ENTRY: own}

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: Producer
    ) -> TargetScheduling | None:
        """Keep targets on one worker, unless another way to spread tests was asked for."""
        if config.getvalue("dist") != TARGETS_STAY_TOGETHER:
            return None
        from compat.plugin.scheduling import TargetScheduling

        return TargetScheduling(config, log, lambda node: node.gateway.id in self._gpu_of)

    def pytest_xdist_node_collection_finished(
        self, node: WorkerController, ids: Sequence[str]
    ) -> None:
        """Begin the records of the run, once it is known that it has targets."""
        from compat.targets.nodepart import load_of

        if SESSION in self.config.stash or not any(map(load_of, ids)):
            return
        session = CompatSession.of(self.config, run=self._run)
        session.recorder.begin_run()

    def pytest_testnodedown(self, node: WorkerController, error: object | None) -> None:
        """Note how a worker has ended."""
        worker = node.gateway.id
        self._gpu_of.pop(worker, None)
        problem = getattr(node, "workeroutput", {}).get(PROBLEM_KEY)
        if problem:
            self.config.stash[PROBLEM] = problem
        if error == INTERRUPTED:
            self._deaths[worker] = INTERRUPTED
        elif error:
            self._deaths[worker] = how_it_died(node)

    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Record a case that took its worker with it."""
        from compat.plugin.crash import judge_crash, leave_open

        worker = report.node.gateway.id
        how = self._deaths.get(worker, "the process died")
        if how == INTERRUPTED:
            leave_open(report)
        elif SESSION in self.config.stash:
            judge_crash(self.config.stash[SESSION], report, worker, how)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End with a usage error where the workers found one."""
        if PROBLEM in self.config.stash:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the workers found wrong."""
        problem = self.config.stash.get(PROBLEM, None)
        if problem is not None:
            terminalreporter.write_line(f"ERROR: {problem}", red=True)


def how_it_died(node: WorkerController) -> str:
    """The signal or the exit status of a worker that is gone, in words."""
    process = getattr(node.gateway._io, "popen", None)  # execnet tells it in no other way
    if process is None:
        return "the process died"
    try:
        status = process.wait(SECONDS_TO_DIE)
    except subprocess.TimeoutExpired:
        return "the process no longer answers"
    if status < 0:
        return f"the process was killed by {signal.Signals(-status).name}"
    return f"the process ended with exit status {status}"
