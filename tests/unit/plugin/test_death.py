"""What the operating system tells of a process that has died; these die for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from compat.outcomes import Outcome
from compat.plugin import death
from compat.plugin.death import death_of
from compat.plugin.watchdog import Expiry
from compat.results.record import CaseStartRecord


def ended(program: str) -> subprocess.Popen[bytes]:
    """A process that runs `program` and is not waited for."""
    return subprocess.Popen([sys.executable, "-c", program])


def test_a_signal_has_a_name_and_the_process_a_peak_of_memory():
    found = death_of(ended("import os; x = bytearray(10**8); os.abort()"), None, "words", None)
    assert (found.how, found.signal) == ("was killed by SIGABRT", "SIGABRT")
    assert found.outcome is Outcome.CRASHED
    assert found.stderr == "words"
    assert found.peak is not None
    assert found.peak > 10**8


def test_an_exit_status_is_no_signal():
    found = death_of(ended("raise SystemExit(3)"), None, "", None)
    assert (found.how, found.signal) == ("ended with exit status 3", None)


def test_a_process_that_was_waited_for_before_is_told_all_the_same():
    process = ended("raise SystemExit(3)")
    process.wait()
    assert death_of(process, None, "", None).how == "ended with exit status 3"


def test_what_was_ended_for_its_deadline_did_not_crash():
    start = CaseStartRecord(run="r", execution="e", case="c", started="s")
    process = ended("import time; time.sleep(60)")
    process.kill()
    found = death_of(process, Expiry(start, 5.0), "", None)
    assert found.outcome is Outcome.TIMEOUT
    assert found.how == "was ended: its deadline of 5 s was over"
    assert found.signal is None


@pytest.mark.parametrize(("before", "said"), [(3, True), (4, False)])
def test_a_kill_that_the_kernel_counted_is_for_want_of_memory(monkeypatch, tmp_path, before, said):
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free_pages 12\noom_kill 4\n")
    monkeypatch.setattr(death, "KERNEL_COUNTERS", counters)
    process = ended("import time; time.sleep(60)")
    os.kill(process.pid, signal.SIGKILL)
    found = death_of(process, None, "", before)
    assert found.how.startswith("was killed by SIGKILL")
    assert ("ran out of memory" in found.how) is said


def test_a_worker_on_another_machine_has_died_all_the_same():
    assert death_of(None, None, "", None).how == "died"
