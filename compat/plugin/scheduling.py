"""An xdist scheduler that keeps a target on one worker and survives the death of any.

xdist's own either tear a target apart (`load`, `worksteal`) or hang when a worker dies
(`loadscope`, `loadfile`, `loadgroup`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, Protocol

import pytest
from xdist.report import report_collection_diff
from xdist.scheduler import LoadScheduling

from compat.plugin.units import Unit, targets_of, units_of
from compat.targets import Device
from compat.targets.nodepart import device_of, load_of

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

ENOUGH = 2
"""A worker that has more than this many items waiting is sent no further ones; it must know the
next item before it can end the present one."""

RELOADS = 2
"""How often a target is loaded anew because its worker has died, before it is given up."""


class Overseer(Protocol):
    """What the scheduler does not know of its workers and items."""

    def owns_gpu(self, node: WorkerController) -> bool:
        """Whether a worker sees a GPU."""

    def has_begun(self, node_id: str) -> bool:
        """Whether a worker has begun an item."""

    def has_ended(self, node_id: str) -> bool:
        """Whether a worker has come to the end of an item."""

    def expected_seconds(self, load: str, cases: int) -> float:
        """How long so many cases of a target will take, loading it included."""

    def give_up(self, node: WorkerController, load: str, deaths: int) -> None:
        """A target is not to be loaded again: it has killed so many workers, this one the last."""


class TargetScheduling:
    """Implements `xdist.scheduler.Scheduling`."""

    def __init__(self, config: pytest.Config, log: Producer, overseer: Overseer) -> None:
        self.config = config
        self._log = log
        self._overseer = overseer
        self._expected = len(config.getvalue("tx"))
        self._collections: dict[WorkerController, list[str]] = {}
        self._collection: list[str] | None = None
        self._waiting: deque[Unit] = deque()
        self._pending: dict[WorkerController, list[int]] = {}
        self._last_load: dict[WorkerController, str | None] = {}
        self._last_model: dict[WorkerController, str | None] = {}
        """Worker -> the model of the last unit that it was sent."""
        self._deaths: Counter[str] = Counter()
        """Target -> workers that have died while it was loaded."""

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
        assert self._collection is not None
        self._pending[node].remove(item_index)
        self._last_load[node] = load_of(self._collection[item_index])
        self._feed_all()  # another may have waited for the GPU that this one has used

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

        What it had still to do goes to the front of the queue, target by target: each is loaded
        once more, by one worker, or not at all if it has killed too many of them.
        """
        pending = self._pending.pop(node)
        loaded = self._last_load.pop(node, None)
        self._last_model.pop(node, None)
        if not pending:
            return None
        assert self._collection is not None
        first = self._collection[pending[0]]
        begun, ended = self._overseer.has_begun(first), self._overseer.has_ended(first)
        if begun:
            pending = pending[1:]
            loaded = load_of(first)
        left = list(targets_of(self._collection, pending))
        if left and left[0].load is not None and left[0].load == loaded:
            self._deaths[loaded] += 1
            if self._deaths[loaded] > RELOADS:
                self._overseer.give_up(node, loaded, self._deaths[loaded])
        self._waiting.extendleft(reversed(left))
        self._feed_all()
        return first if begun and not ended else None

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
            units = units_of(self._collection, len(self._pending))
            self._waiting.extend(sorted(units, key=self._cost, reverse=True))
            self._refuse_idle_workers()
            self._allow_restarts()
        self._feed_all()

    def _cost(self, unit: Unit) -> float:
        """What a target is expected to take; where nothing is known of any, its items count."""
        if unit.load is None:
            return 0.0
        return self._overseer.expected_seconds(unit.load, len(unit.items)) or len(unit.items)

    def _refuse_idle_workers(self) -> None:
        """Raise UsageError where a worker would have nothing to do for want of a GPU."""
        owners = sum(map(self._overseer.owns_gpu, self._pending))
        if 0 < owners < len(self._pending) and all(unit.on_gpu for unit in self._waiting):
            raise pytest.UsageError(
                f"{len(self._pending)} workers for {owners} GPUs, and every target needs one: "
                f"-n {owners}"
            )

    def _allow_restarts(self) -> None:
        """Let as many workers die as this scheduler can answer for, unless a limit was given.

        xdist ends a run after four deaths a worker, so that one that dies in collecting is not
        replaced for ever. Of the deaths in running each costs an item or, of a target, a reload.
        """
        session = self.config.pluginmanager.get_plugin("dsession")
        limit = getattr(session, "_max_worker_restart", None)
        if session is None or limit is None or self.config.getoption("maxworkerrestart"):
            return
        for unit in self._waiting:
            limit += len(unit.items) if unit.load is None else RELOADS + 1
        session._max_worker_restart = limit

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
                if node is not self._keeper:
                    node.shutdown()
                return
            pending.extend(unit.items)
            with suppress(OSError):  # it has died: `remove_node` will be called, and have them back
                node.send_runtest_some(list(unit.items))

    def _take(self, node: WorkerController) -> Unit | None:
        """The next unit for a worker. One with a GPU takes what needs it first.

        What needs every GPU comes last, on the keeper, when nobody else is at work on one.
        """
        some_own = any(map(self._overseer.owns_gpu, self._pending))
        owns = self._overseer.owns_gpu(node)
        allowed = [unit for unit in self._waiting if owns or not (some_own and unit.on_gpu)]
        if some_own:
            shared = [unit for unit in allowed if not unit.spans_gpus]
            waits = node is not self._keeper or self._others_on_gpu(node)
            allowed = shared if shared or waits else allowed
        if not allowed:
            return None
        unit = self._chosen(node, [unit for unit in allowed if owns and unit.on_gpu] or allowed)
        self._waiting.remove(unit)
        self._last_model[node] = unit.model
        return unit

    def _chosen(self, node: WorkerController, units: Sequence[Unit]) -> Unit:
        """The first unit, the longest; or one of a model that no other worker has.

        A worker that goes on with its model, or else takes one of its own, has the architecture
        imported once, and not in every worker. A unit comes before its turn only while enough is
        left to keep all workers busy for as long as the longest takes.
        """
        first, own = units[0], self._last_model.get(node)
        others = {model for one, model in self._last_model.items() if one is not node}
        akin = (unit for unit in units if own is not None and unit.model == own)
        apart = (unit for unit in units if unit.model not in others)
        chosen = next(akin, None) or next(apart, None) or first
        left = sum(map(self._cost, self._waiting)) - self._cost(chosen)
        return chosen if left >= len(self._pending) * max(map(self._cost, units)) else first

    @property
    def _keeper(self) -> WorkerController | None:
        """The worker that stays for what needs every GPU; None where nothing does, or nobody can.

        The others are told to end meanwhile, for no worker finishes its last item before it knows
        what is next.
        """
        if not any(unit.spans_gpus for unit in self._waiting):
            return None
        return next(
            (
                one
                for one in self._pending
                if self._overseer.owns_gpu(one) and not one.shutting_down
            ),
            None,
        )

    def _others_on_gpu(self, node: WorkerController) -> bool:
        """Whether another worker has an item left that runs on a GPU."""
        assert self._collection is not None
        loads = (
            load_of(self._collection[item])
            for other, items in self._pending.items()
            if other is not node
            for item in items
        )
        return any(load is not None and device_of(load) is Device.GPU for load in loads)

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
