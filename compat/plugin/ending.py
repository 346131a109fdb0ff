"""The end of a process that has half a million objects of torch and transformers in it.

pytest collects garbage several times there and Python once more, and each time walks through all of
them: in every worker, and between Ctrl-C and the prompt.
"""

from __future__ import annotations

import atexit
import gc
import sys

import pytest

from compat.plugin.session import SESSION


@pytest.hookimpl(tryfirst=True)  # what is added first is done last: after pytest's own collecting
def pytest_configure(config: pytest.Config) -> None:
    """Count everything again once pytest is done: whoever called it may go on."""
    config.add_cleanup(gc.unfreeze)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Collect garbage once more, and count what is alive no longer."""
    if SESSION not in config.stash or "torch" not in sys.modules:
        return
    gc.collect()
    gc.freeze()
    atexit.unregister(gc.freeze)  # a run before this one in the same process
    atexit.register(gc.freeze)
