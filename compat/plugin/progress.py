"""One line a target as it completes, in the place of a dot a case; and the summary at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from compat.plugin.session import SESSION
from compat.plugin.settled import SETTLED_CASES
from compat.plugin.tally import RunTally, Standing, TargetTally
from compat.plugin.terminal import say
from compat.results.duration import duration
from compat.targets.nodepart import load_of
from compat.targets.target import BARE, CaseId

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

    from compat.plugin.durations import Durations

RESUME = "--compat-resume"
TARGETS_BEFORE_AN_ESTIMATE = 3
SECONDS_WORTH_TELLING = 20


class Progress:
    """Follows the reports of a run where its terminal is: here, or in xdist's controller."""

    def __init__(self, config: pytest.Config, durations: Durations) -> None:
        self.config = config
        self._durations = durations
        self._targets: dict[str, TargetTally] = {}
        self._run = RunTally()
        self._complete = 0
        self._began = time.monotonic()
        self._ends: float | None = None

    @property
    def _by_target(self) -> bool:
        """Whether lines stand for targets; with -v and -q pytest's own way stands."""
        return bool(self.config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) == 0)

    @property
    def standing(self) -> Standing:
        """How far the run has come; may be asked from another thread."""
        return Standing(
            targets=len(self._targets),
            complete=self._complete,
            failing=self._run.failing,
            began=self._began,
            ends=self._ends,
        )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn which targets there are."""
        if SESSION in self.config.stash:
            from compat.plugin.case import asked_of

            self._expect(item.nodeid for item in session.items if asked_of(item) is not None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(
        self, node: WorkerController, ids: Sequence[str]
    ) -> None:
        """Learn which targets there are, from the first worker that knows."""
        if not self._targets:
            self._expect(ids)

    def _expect(self, node_ids: Iterable[str]) -> None:
        counts = Counter(filter(None, map(load_of, node_ids)))
        self._targets = {load: TargetTally(count) for load, count in counts.items()}
        self._began = time.monotonic()

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, str] | None:
        """Count a case without printing a letter for it."""
        if not self._by_target or not hasattr(report, "compat"):
            return None
        category = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        return category, "", str(report.outcome).upper()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a case, and print the line of a target that it completes."""
        record: dict[str, Any] | None = getattr(report, "compat", None)
        if record is None:
            return
        self._run.add(record)
        load = load_of(report.nodeid)
        tally = None if load is None else self._targets.get(load)
        if load is None or tally is None:
            return
        tally.add(record)
        if tally.complete:
            self._complete += 1
            left = self._seconds_left()
            self._ends = None if left is None else time.monotonic() + left
            if self._by_target:
                self._print(load, CaseId.parse(record["case"]), tally, in_words(left))

    def _print(self, load: str, case: CaseId, tally: TargetTally, left: str) -> None:
        kind = f"{case.weights}-{case.device}-{case.mode}"
        slug = load.removesuffix(f"-{kind}")
        place = f"[{self._complete}/{len(self._targets)}]"
        wrapper = "" if case.wrapper == BARE else f" {case.wrapper}"
        line = f"{place} {slug} {case.weights} {case.device} {case.mode}{wrapper}  {tally}"
        say(self.config, f"{line}  {left}" if left else line, alarming=tally.failed)

    def _seconds_left(self) -> float | None:
        """The time left; None before anything can be said about it."""
        if self._complete < TARGETS_BEFORE_AN_ESTIMATE:
            return None
        done, left = self._work()
        # What earlier runs took tells targets from each other; how fast this machine is with so
        # many workers, the present run tells.
        return (time.monotonic() - self._began) * left / done

    def _work(self) -> tuple[float, float]:
        """What is done and what is left: in seconds of earlier runs, without any in targets."""
        expected = self._durations.expected_seconds
        tallies = self._targets.items()
        done = sum(expected(load, tally.done) for load, tally in tallies)
        if not done:
            return float(self._complete), float(len(self._targets) - self._complete)
        return done, sum(expected(load, tally.expected - tally.done) for load, tally in tallies)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """Say what it all came to, where it is written, and how to go on."""
        settled = self.config.stash.get(SETTLED_CASES, 0)
        if not (self._run.outcomes or settled):
            return
        terminalreporter.section("compat", "-")
        if settled:
            terminalreporter.line(f"settled by earlier records, and not run again: {settled} cases")
        for line in self._run.lines():
            terminalreporter.line(line)
        session = self.config.stash.get(SESSION, None)
        if session is not None:
            for line in session.files_in_words():
                terminalreporter.line(line)
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            terminalreporter.line("to go on where this stopped: the same command with " + RESUME)


def in_words(seconds_left: float | None) -> str:
    """The time left, where it is worth telling."""
    if seconds_left is None or seconds_left < SECONDS_WORTH_TELLING:
        return ""
    return f"about {duration(seconds_left)} left"
