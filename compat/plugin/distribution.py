"""What the controller of a distributed run adds: who gets which GPU, and what a dead worker did."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

import pytest

from compat.plugin.session import SESSION, CompatSession
from compat.plugin.settled import SETTLED_CASES, SETTLED_KEY
from compat.plugin.stash import PROBLEM, PROBLEM_KEY
from compat.plugin.workers import (
    GPU_ENTRIES,
    GPU_ENTRY,
    GPU_USABLE,
    RUN_ID,
    VISIBLE,
    gpu_entries,
)

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

    from compat.plugin.death import Death
    from compat.plugin.durations import Durations
    from compat.plugin.scheduling import TargetScheduling
    from compat.plugin.watchdog import Watchdog
    from compat.results.record import CaseStartRecord
    from compat.targets.devices import Host

INTERRUPTED = "keyboard-interrupt"
"""What xdist calls it when a worker, and not its controller, got the Ctrl-C."""
TARGETS_STAY_TOGETHER = "load"
"""The `--dist` whose place this scheduler takes; another was asked for by name, and stands."""


class Controller:
    """Hooks of xdist, registered in its controller alone; and the scheduler's `Overseer`."""

    def __init__(self, config: pytest.Config, durations: Durations) -> None:
        self.config = config
        self._durations = durations
        self._run = ""
        self._gpu_of: dict[str, str] = {}
        """Worker -> its entry of CUDA_VISIBLE_DEVICES."""
        self._interrupted: set[str] = set()
        self._deaths: dict[str, Death] = {}
        self._stderr: dict[str, BinaryIO] = {}
        """Worker -> what it writes there, kept open: when it is dead it can't be opened."""
        self._begun: set[str] = set()
        self._ended: set[str] = set()
        self._killed_for_memory: int | None = None

    @cached_property
    def _host(self) -> Host:
        from compat.targets.devices import this_host

        return this_host()

    @cached_property
    def _watchdog(self) -> Watchdog:
        from compat.plugin.watchdog import Watchdog

        return Watchdog(self._limit)

    def _limit(self, start: CaseStartRecord) -> float:
        from compat.targets.target import CaseId

        session = self.config.stash[SESSION]
        entry = session.entry_of(CaseId.parse(start.case).model)
        return session.options.deadlines.of(start.stage, entry)

    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a worker which run it belongs to, and which GPU is its own."""
        from compat.results.writer import new_run_id

        self._run = self._run or new_run_id()
        worker = node.gateway.id
        gpus = [gpu.position for gpu in self._host.gpus] if self._host.gpu_usable else []
        taken = set(self._gpu_of.values())
        entries = gpu_entries(gpus, os.environ.get(VISIBLE))
        own = next((entry for entry in entries if entry not in taken), "")
        if own:
            self._gpu_of[worker] = own
        node.workerinput |= {
            RUN_ID: self._run,
            GPU_USABLE: bool(gpus),
            GPU_ENTRY: own,
            GPU_ENTRIES: entries,
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: Producer
    ) -> TargetScheduling | None:
        """Keep targets on one worker, unless another way to spread tests was asked for."""
        if config.getvalue("dist") != TARGETS_STAY_TOGETHER:
            return None
        from compat.plugin.scheduling import TargetScheduling

        return TargetScheduling(config, log, self)

    def owns_gpu(self, node: WorkerController) -> bool:
        """Whether a worker sees a GPU."""
        return node.gateway.id in self._gpu_of

    def has_begun(self, node_id: str) -> bool:
        """Whether a worker has begun an item."""
        return node_id in self._begun

    def has_ended(self, node_id: str) -> bool:
        """Whether a worker has come to the end of an item."""
        return node_id in self._ended

    def expected_seconds(self, load: str, cases: int) -> float:
        """How long so many cases of a target will take, as far as earlier runs tell."""
        return self._durations.expected_seconds(load, cases)

    def give_up(self, node: WorkerController, load: str, deaths: int) -> None:
        """See to it that workers skip what is left of a target."""
        from compat.plugin.given_up import GivenUp

        last = self._deaths.get(node.gateway.id)
        how = "" if last is None else f"; the last of them {last.how}"
        why = f"{deaths} workers have died of this target{how}"
        GivenUp(self.config.stash[SESSION].folder).add(load, why)

    def pytest_xdist_node_collection_finished(
        self, node: WorkerController, ids: Sequence[str]
    ) -> None:
        """Begin the records of the run, once it is known that it has targets; watch the worker."""
        from compat.targets.nodepart import load_of

        if not any(map(load_of, ids)):
            return
        if SESSION not in self.config.stash:
            session = CompatSession.of(self.config, run=self._run)
            session.recorder.begin_run()
        self._watch(node)

    def _watch(self, node: WorkerController) -> None:
        from compat.plugin import last_words
        from compat.plugin.death import killed_for_memory, process_of

        process, worker = process_of(node), node.gateway.id
        if process is None:
            return
        session = self.config.stash[SESSION]
        self._killed_for_memory = killed_for_memory()
        captured = last_words.take(session.folder, worker)
        if captured is not None:
            self._stderr[worker] = captured
        self._watchdog.watch(worker, process, session.records_of(worker))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a worker has begun an item."""
        self._begun.add(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a worker has come to the end of an item."""
        self._ended.add(nodeid)

    def pytest_testnodedown(self, node: WorkerController, error: object | None) -> None:
        """Note how a worker has ended."""
        worker = node.gateway.id
        self._gpu_of.pop(worker, None)
        output = getattr(node, "workeroutput", {})
        if output.get(PROBLEM_KEY):
            self.config.stash[PROBLEM] = output[PROBLEM_KEY]
        if output.get(SETTLED_KEY):
            self.config.stash[SETTLED_CASES] = output[SETTLED_KEY]
        if error == INTERRUPTED:
            self._interrupted.add(worker)
        if SESSION in self.config.stash:
            self._take_leave(node, died=bool(error))

    def _take_leave(self, node: WorkerController, *, died: bool) -> None:
        from compat.plugin import last_words
        from compat.plugin.death import death_of, process_of

        worker = node.gateway.id
        expiry = self._watchdog.forget(worker)
        stderr = last_words.read(self._stderr.pop(worker, None))
        if died and worker not in self._interrupted:
            before, process = self._killed_for_memory, process_of(node)
            self._deaths[worker] = death_of(process, expiry, stderr, before)

    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Record a case that took its worker with it."""
        from compat.plugin.cleaning import clean_report
        from compat.plugin.crash import judge_crash, leave_open

        worker = report.node.gateway.id
        if worker in self._interrupted:
            leave_open(report)
        elif SESSION in self.config.stash and worker in self._deaths:
            session = self.config.stash[SESSION]
            judge_crash(session, report, worker, self._deaths[worker])
            clean_report(report, session.recorder.redactor)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Stop after so many failures, crashes among them: xdist does not count those."""
        manager = self.config.pluginmanager
        session, distributed = manager.get_plugin("session"), manager.get_plugin("dsession")
        if session is not None and distributed is not None and session.shouldfail:
            distributed.shouldstop = distributed.shouldstop or session.shouldfail

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End with a usage error where the workers found one."""
        if "_watchdog" in vars(self):  # none was needed without a worker
            self._watchdog.stop()
        if PROBLEM in self.config.stash:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the workers found wrong."""
        problem = self.config.stash.get(PROBLEM, None)
        if problem is not None:
            terminalreporter.write_line(f"ERROR: {problem}", red=True)
