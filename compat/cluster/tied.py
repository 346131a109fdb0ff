"""`python -m compat.cluster.tied PARENT COMMAND...`: become COMMAND, and die when PARENT dies.

A worker of a cluster that is killed leaves what it has started behind: on the GPU that its
successor is about to get. What it has started as this goes with it, on Linux.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of prctl(2). It outlasts exec."""


def become(parent: int, command: list[str]) -> None:
    """Replace this process by `command`, tied to the process that has started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died before the tie was made
            raise SystemExit(1)
    # Ray blocks the signal in all that it starts; pytest is to hear it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(command[0], command)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
