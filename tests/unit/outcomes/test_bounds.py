"""What a stranger has written runs within bounds, and the bounds go with it."""

from __future__ import annotations

import resource
import signal
import threading

import pytest

from compat.outcomes.bounds import BoundsExceededError, bounded


def test_what_keeps_within_its_bounds_is_left_alone():
    with bounded("it", seconds=60, megabytes=1_000):
        found = bytes(10**6)
    assert len(found) == 10**6


def for_ever():
    while True:
        pass


def test_a_loop_that_does_not_end_is_ended():
    with (
        pytest.raises(BoundsExceededError, match=r"the loop takes longer than 0\.05 s"),
        bounded("the loop", seconds=0.05, megabytes=1_000),
    ):
        for_ever()


def test_a_loop_that_catches_every_exception_is_ended_too():
    def deaf():
        while True:
            try:
                for_ever()
            except Exception:
                continue

    with pytest.raises(BoundsExceededError), bounded("it", seconds=0.05, megabytes=1_000):
        deaf()


def test_memory_is_refused_and_not_taken():
    with (
        pytest.raises(BoundsExceededError, match="it takes more than 100 MB"),
        bounded("it", seconds=60, megabytes=100),
    ):
        "a" * 10**11


def test_limits_timer_and_handler_are_as_they_were_whatever_happened():
    before = (
        resource.getrlimit(resource.RLIMIT_AS),
        signal.getsignal(signal.SIGALRM),
        signal.getitimer(signal.ITIMER_REAL),
    )
    with pytest.raises(KeyError), bounded("it", seconds=60, megabytes=100):
        raise KeyError
    after = (
        resource.getrlimit(resource.RLIMIT_AS),
        signal.getsignal(signal.SIGALRM),
        signal.getitimer(signal.ITIMER_REAL),
    )
    assert after == before


def test_a_timer_that_was_running_goes_on():
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    signal.setitimer(signal.ITIMER_REAL, 30)
    try:
        with bounded("it", seconds=10, megabytes=100):
            pass
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert 0 < left <= 30
    assert rung == []


def test_beside_the_main_thread_memory_alone_is_bounded():
    caught = []

    def run():
        try:
            with bounded("it", seconds=60, megabytes=100):
                "a" * 10**11
        except BoundsExceededError as error:
            caught.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert caught == ["it takes more than 100 MB"]
