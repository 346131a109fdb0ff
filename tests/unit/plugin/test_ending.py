"""What pytest and Python walk through when a process ends."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack
from types import ModuleType, SimpleNamespace

import pytest

from compat.plugin import ending
from compat.plugin.session import SESSION


@pytest.fixture
def config(monkeypatch):
    """A run that has come to its end, with torch in its process."""
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    with ExitStack() as cleanup:
        made = SimpleNamespace(stash={SESSION: object()}, add_cleanup=cleanup.callback)
        ending.pytest_configure(made)
        made.end = cleanup.close
        yield made


def test_what_is_alive_is_walked_through_no_longer(config):
    ending.pytest_unconfigure(config)
    assert len(gc.get_objects()) < 1000
    assert gc.get_freeze_count() > 10_000


def test_garbage_is_collected_first(config):
    class Node:
        def __del__(self):
            ended.append(self.__class__.__name__)

    ended: list[str] = []
    node = Node()
    node.itself = node
    del node
    ending.pytest_unconfigure(config)
    assert ended == ["Node"]


def test_whoever_called_pytest_goes_on_as_before(config):
    ending.pytest_unconfigure(config)
    config.end()
    assert gc.get_freeze_count() == 0


def test_a_run_without_targets_ends_as_ever(config):
    config.stash.clear()
    ending.pytest_unconfigure(config)
    assert gc.get_freeze_count() == 0


def test_it_is_pytest_s_own_collecting_that_comes_before(pytester):
    """Cleanups run last in, first out: this one must be in before that of any other plugin."""
    pytester.makeconftest(
        "import gc\n"
        "def pytest_configure(config):\n"
        "    config.add_cleanup(lambda: print('frozen', gc.get_freeze_count() > 0))\n"
        "def pytest_unconfigure(config):\n"
        "    gc.freeze()\n"
    )
    result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(["frozen True"])
