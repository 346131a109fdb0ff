"""What is started tied to a process goes with it, and hears Ctrl-C whatever blocked it before."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest

TIED = (sys.executable, "-m", "compat.cluster.tied")
WAITING = "import time; print('ready', flush=True); time.sleep(600)"
PARENT = f"""
import os, subprocess, time
line = [*{TIED!r}, str(os.getpid()), {sys.executable!r}, "-c", {WAITING!r}]
child = subprocess.Popen(line, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a process that its parent died; run it there"
)


def test_it_dies_with_the_process_that_has_started_it():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def test_it_does_not_begin_where_its_parent_has_died_already():
    done = subprocess.run([*TIED, "1", sys.executable, "-c", "print(1)"], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")


def test_it_hears_ctrl_c_where_that_was_blocked():
    block = f"""
import os, signal, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGINT}})
line = [*{TIED!r}, str(os.getpid()), {sys.executable!r}, "-c", {WAITING!r}]
child = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdout.readline()
child.send_signal(signal.SIGINT)
sys.exit(-child.wait())
"""
    assert subprocess.run([sys.executable, "-c", block], timeout=60).returncode == signal.SIGINT
