"""Giving the disk back: what a run has downloaded of a model goes once its cases are done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pytest

from compat.plugin.session import SESSION
from compat.plugin.terminal import say
from compat.targets.nodepart import load_of
from compat.targets.target import Weights

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

LAST_WORD = ("teardown", "???")
"""`when` of an item's last report: the second is xdist's for one whose worker has died."""
DIED = "compat_died"
"""Set on the only report of such an item once it has been judged."""


class Eviction:
    """Follows the items of a run where its terminal is: here, or in xdist's controller.

    It is the only process that knows when the last case of a model is done, whoever ran it.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._left: Counter[str] = Counter()
        """Load -> items that have not come to their end; targets of the hub alone."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn which items there are."""
        self._expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(
        self, node: WorkerController, ids: Sequence[str]
    ) -> None:
        """Learn which items there are, from the first worker that knows."""
        if not self._left:
            self._expect(ids)

    def _expect(self, node_ids: Iterable[str]) -> None:
        loads = (load_of(node_id) for node_id in node_ids)
        self._left = Counter(load for load in loads if load and f"-{Weights.HUB}-" in load)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count an item off; after the last one of a model, remove what was fetched for it."""
        load = load_of(report.nodeid)
        if load is None or load not in self._left:
            return
        if report.when not in LAST_WORD and not hasattr(report, DIED):
            return
        self._left[load] -= 1
        if not self._left[load]:
            del self._left[load]
            self._evict_what_is_done()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Remove what an interrupted run has left."""
        self._left.clear()
        self._evict_what_is_done()

    def _evict_what_is_done(self) -> None:
        session = self.config.stash.get(SESSION, None)
        if session is None:
            return
        from compat.weights.hub.evict import evict

        waiting = {
            spec.id
            for entry in session.entries
            for spec in entry.models
            if any(load.startswith(f"{entry.slug}-{Weights.HUB}-") for load in self._left)
        }
        for model in sorted(session.downloads.models - waiting):
            freed = evict(session.downloads, model, session.hub.access.cache_folder)
            if freed:
                say(self.config, f"removed the download of {model}: {freed}")
