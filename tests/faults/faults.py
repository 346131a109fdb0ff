"""Ways to take a process down, by the word for them in `behave.json`; written into a project."""

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent
STACK = 500_000
"""Bytes of a stack that overflows; it has taken a good part of them before."""
MOST_BYTES = 2_000_000_000
"""What is taken of a machine whose limit does not hold."""


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def segfault():
    ctypes.string_at(0)


def exit_quietly():
    os._exit(0)


def overflow_the_stack():
    # Through C and back at every step: Python's own calls take none of the stack that is C's. From
    # 3.12 on Python counts such steps, too: the stack ends before it has counted to its limit.
    sys.setrecursionlimit(10**8)
    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, most))

    @ctypes.CFUNCTYPE(None)
    def again():
        again()

    again()


def abort_with_a_word():
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    print("token " + "hf_" + "aB3" * 8 + " \x1b[31mred", file=sys.stderr, flush=True)
    os.abort()


def hang():
    while True:
        time.sleep(60)


def hang_in_the_download():
    hang()


def hang_with_the_lock():
    library = ctypes.PyDLL(None)  # whose calls, unlike those of CDLL, keep the interpreter's lock
    while True:
        library.sleep(60)


def freeze():
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def die_and_leave_a_child():
    if os.fork() == 0:
        time.sleep(40)
        os._exit(0)
    kill()


def take_all_memory():
    taken = []
    while sum(map(len, taken)) < MOST_BYTES:
        taken.append(b"x" * 10_000_000)
    raise AssertionError(f"there was no end to it: {MOST_BYTES / 1e9:g} GB")


def once(fault):
    """What goes well the next time, in another process."""

    def fails_first():
        flag = HERE / f"once-{fault.__name__}"
        if not flag.exists():
            flag.touch()
            fault()

    return fails_first


def break_cuda():
    def synchronize(device=None):
        raise RuntimeError("CUDA error: device-side assert triggered")

    cuda = SimpleNamespace(
        is_initialized=lambda: True, device_count=lambda: 1, synchronize=synchronize
    )
    sys.modules["torch"] = SimpleNamespace(cuda=cuda)
    synchronize()


FAULTS = {
    "kill": kill,
    "segfault": segfault,
    "exit quietly": exit_quietly,
    "overflow the stack": overflow_the_stack,
    "abort with a word": abort_with_a_word,
    "hang": hang,
    "hang with the lock": hang_with_the_lock,
    "freeze": freeze,
    "die and leave a child": die_and_leave_a_child,
    "take all memory": take_all_memory,
    "kill once": once(kill),
    "hang once": once(hang),
    "hang once in the download": once(hang_in_the_download),
    "break cuda": break_cuda,
}
