"""Ctrl-C ends a run even where the code that it meets swallows it."""

from __future__ import annotations

import signal

import pytest

SWALLOWS = """
import signal

def test_import_is_interrupted():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass
    assert False, "what was interrupted is broken"

def test_after_it():
    pass
"""
LISTENS = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
"""


@pytest.fixture
def interrupted(pytester):
    pytester.makeconftest(LISTENS)
    pytester.makepyfile(SWALLOWS)
    return pytester


def test_nothing_more_is_run_and_nothing_is_blamed(interrupted):
    result = interrupted.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes()
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    result.stdout.no_fnmatch_line("*Warning*")


def test_a_worker_ends_too(interrupted):
    result = interrupted.runpytest_subprocess("-n", "1")
    result.assert_outcomes(skipped=1)  # which is how xdist is told that it died in nothing
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_a_second_one_does_not_cut_off_what_the_first_has_begun(pytester):
    pytester.makeconftest(f"{LISTENS}\n{FINISHES}")
    pytester.makepyfile(
        "import signal\ndef test_interrupted():\n    signal.raise_signal(signal.SIGINT)"
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stderr.fnmatch_lines(["the records are being finished; Ctrl-C once more *"])
    result.stdout.fnmatch_lines(["*finished"])


FINISHES = """
def pytest_sessionfinish():
    signal.raise_signal(signal.SIGINT)
    print("finished")
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        return
    raise AssertionError("a third one is not heard")
"""


def test_whoever_listened_before_listens_again(interrupted):
    former = signal.getsignal(signal.SIGINT)
    interrupted.runpytest_inprocess("-k", "after_it")
    try:
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, former)
