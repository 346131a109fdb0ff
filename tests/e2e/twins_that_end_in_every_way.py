"""The conftest of a project on real twins: checks more, which end as no healthy check does."""

import os
import signal
import time

from compat.checks.registry import check


@check(area="forward")
def kills_its_process(subject):
    """It kills the process that GPT-2 runs in."""
    if subject.target.slug == "gpt2":
        os.kill(os.getpid(), signal.SIGKILL)


@check(area="forward")
def hangs(subject):
    """It keeps GPT-2 for longer than its entry allows."""
    if subject.target.slug == "gpt2" and subject.target.mode == "nf4":
        time.sleep(600)


@check(area="forward")
def runs_out_of_memory(subject):
    """It takes more memory from GPT-2 than was predicted."""
    if subject.target.slug == "gpt2":
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
