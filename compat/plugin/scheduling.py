"""An xdist scheduler that keeps a target on one worker and survives the death of any.

xdist's own either tear a target apart (`load`, `worksteal`) or hang when a worker dies
(`loadscope`, `loadfile`, `loadgroup`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NoReturn

import pytest
from xdist.report import report_collection_diff
from xdist.scheduler import LoadScheduling

from compat.targets import Device
from compat.targets.nodepart import device_of, load_of

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

ENOUGH = 2
"""A worker that has more than this many items waiting is sent no further ones; it must know the
next item before it can end the present one."""

OwnsGpu = Callable[["WorkerController"], bool]


@dataclass(frozen=True)
class Unit:
    """Items that run on one worker, one after the other, by their place in the collection."""

    items: tuple[int, ...]
    on_gpu: bool = False


def units_of(collection: Sequence[str], workers: int) -> Iterator[Unit]:
    """Cut a collection into units: a target each, and the tests between them in small pieces."""
    numbered = enumerate(collection)
    for load, group in groupby(numbered, key=lambda pair: load_of(pair[1])):
        items = tuple(index for index, _ in group)
        if load is not None:
            yield Unit(items, on_gpu=device_of(load) is Device.GPU)
            continue
        piece = max(1, len(items) // (4 * workers))
        for start in range(0, len(items), piece):
            yield Unit(items[start : start + piece])


class TargetScheduling:
    """Implements `xdist.scheduler.Scheduling`."""

    def __init__(self, config: pytest.Config, log: Producer, owns_gpu: OwnsGpu) -> None:
        self.config = config
        self._log = log
        self._owns_gpu = owns_gpu
        self._expected = len(config.getvalue("tx"))
        self._collections: dict[WorkerController, list[str]] = {}
        self._collection: list[str] | None = None
        self._waiting: deque[Unit] = deque()
        self._pending: dict[WorkerController, list[int]] = {}

    @property
    def nodes(self) -> list[WorkerController]:
        """The workers that are alive."""
        return list(self._pending)

    @property
    def collection_is_completed(self) -> bool:
        """Whether as many workers as were started have collected."""
        return len(self._collections) >= self._expected

    @property
    def tests_finished(self) -> bool:
        """Whether nothing is left to hand out, and no worker has more than its last item."""
        return (
            self.collection_is_completed
            and not self._waiting
            and all(len(items) < ENOUGH for items in self._pending.values())
        )

    @property
    def has_pending(self) -> bool:
        """Whether anything is left to run."""
        return bool(self._waiting) or any(self._pending.values())

    def add_node(self, node: WorkerController) -> None:
        """Take in a worker, which will collect next."""
        self._pending[node] = []

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take note of what a worker has collected."""
        self._collections[node] = list(collection)
        if self._collection is not None and self._differs(node):
            node.shutdown()

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """A worker has run an item."""
        self._pending[node].remove(item_index)
        self._feed(node)

    def mark_test_pending(self, item: str) -> NoReturn:
        """No item is ever put back by name."""
        raise NotImplementedError

    def remove_pending_tests_from_node(
        self, node: WorkerController, indices: Sequence[int]
    ) -> NoReturn:
        """No item is ever taken back from a worker."""
        raise NotImplementedError

    def remove_node(self, node: WorkerController) -> str | None:
        """Let a worker go, and return the item that it died in, if it did.

        What it had still to do goes to the front of the queue in one piece: its target is loaded
        once more, by one worker.
        """
        pending = self._pending.pop(node)
        if not pending:
            return None
        assert self._collection is not None
        victim, *rest = pending
        if rest:
            load = load_of(self._collection[rest[0]])
            on_gpu = load is not None and device_of(load) is Device.GPU
            self._waiting.appendleft(Unit(tuple(rest), on_gpu))
        self._feed_all()
        return self._collection[victim]

    def schedule(self) -> None:
        """Hand out work, at the start and when a worker has come in a dead one's place."""
        if self._collection is None:
            first = next(iter(self._collections))
            self._collection = self._collections[first]
            different = [node for node in self._collections if self._differs(node)]
            if different:
                return
            if not any(map(load_of, self._collection)):
                self._leave_to_xdist()
                return
            self._waiting.extend(units_of(self._collection, len(self._pending)))
        self._feed_all()

    def _feed_all(self) -> None:
        for node in self.nodes:
            self._feed(node)

    def _feed(self, node: WorkerController) -> None:
        if node.shutting_down or self._collections.get(node) != self._collection:
            return
        pending = self._pending[node]
        while len(pending) <= ENOUGH:
            unit = self._take(node)
            if unit is None:
                node.shutdown()
                return
            pending.extend(unit.items)
            node.send_runtest_some(list(unit.items))

    def _take(self, node: WorkerController) -> Unit | None:
        """The next unit for a worker. One with a GPU takes what needs it first."""
        some_own = any(map(self._owns_gpu, self._pending))
        owns = self._owns_gpu(node)
        allowed = [unit for unit in self._waiting if owns or not (some_own and unit.on_gpu)]
        if not allowed:
            return None
        unit = next((unit for unit in allowed if owns and unit.on_gpu), allowed[0])
        self._waiting.remove(unit)
        return unit

    def _differs(self, node: WorkerController) -> bool:
        """Whether a worker has collected something else than the first; reported if so."""
        assert self._collection is not None
        first = next(iter(self._collections))
        message = report_collection_diff(
            self._collection, self._collections[node], first.gateway.id, node.gateway.id
        )
        if message:
            report = pytest.CollectReport(
                nodeid=node.gateway.id, outcome="failed", longrepr=message, result=[]
            )
            self.config.hook.pytest_collectreport(report=report)
        return bool(message)

    def _leave_to_xdist(self) -> None:
        """Nothing here is the suite's: put xdist's own scheduler in this one's place."""
        own = LoadScheduling(self.config, self._log)
        for node in self._pending:
            own.add_node(node)
            own.add_node_collection(node, self._collections[node])
        session = self.config.pluginmanager.get_plugin("dsession")
        assert session is not None
        session.sched = own
        own.schedule()
