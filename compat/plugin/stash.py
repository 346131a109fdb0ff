"""Where the plugin keeps what belongs to one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from compat.checks.registry import Catalogue
    from compat.plugin.opening import Means

    Opener: TypeAlias = Callable[[Any, Means], AbstractContextManager[Any]]

OPENER: pytest.StashKey[Opener] = pytest.StashKey()
"""How a planned target is opened, where a conftest has put something in the loader's place."""
CHECKS: pytest.StashKey[Catalogue] = pytest.StashKey()
"""The checks, where a conftest has put a catalogue of its own in the place of the suite's."""
PROBLEM: pytest.StashKey[str] = pytest.StashKey()
"""Why nothing can be run: a registry or a selection that is wrong, in words."""
PROBLEM_KEY = "compat_problem"
"""The same in xdist's `workeroutput`, for the controller to tell."""
MACHINE: pytest.StashKey[Mapping[str, str]] = pytest.StashKey()
"""In a worker: what its environment said of GPUs before it was kept to its own."""
