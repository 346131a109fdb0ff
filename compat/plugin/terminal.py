"""Lines of our own on pytest's terminal."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from compat.results.visible import visible


def say(config: pytest.Config, line: str, *, alarming: bool = False) -> None:
    """Write a line, whatever pytest is capturing just now; nothing where there is no terminal."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        # Past the reporter's own line keeping, which would repeat the file's name after it.
        writer = reporter._tw
        if writer.width_of_current_line:
            writer.line()
        writer.line(visible(line), red=alarming)
        reporter.flush()
