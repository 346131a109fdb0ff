"""Lines of our own on pytest's terminal."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from compat.results.visible import visible

if TYPE_CHECKING:
    from compat.plugin.screen import Screen

STDERR = 2
SCREEN: pytest.StashKey[Screen] = pytest.StashKey()
"""What pytest's reporter writes to while a suite runs."""


def say_from_worker(config: pytest.Config, worker: str, line: str) -> None:
    """Write a line to standard error, which a worker shares with its controller.

    xdist has no message for it, and its other end would refuse one that it does not know.
    """
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        os.write(STDERR, f"[{worker}] {visible(line)}\n".encode())


def say(config: pytest.Config, line: str, *, alarming: bool = False) -> None:
    """Write a line, whatever pytest is capturing just now; nothing where there is no terminal."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    screen = config.stash.get(SCREEN, None)
    if screen is not None:
        screen.line(reporter._tw.markup(visible(line), red=alarming))
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        # Past the reporter's own line keeping, which would repeat the file's name after it.
        writer = reporter._tw
        if writer.width_of_current_line:
            writer.line()
        writer.line(visible(line), red=alarming)
        reporter.flush()
