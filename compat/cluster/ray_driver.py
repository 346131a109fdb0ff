"""Spreads the jobs of a plan over a Ray cluster; their records come to a folder here."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compat.cluster.ray_demand import Demand, infeasible, why_nowhere
from compat.cluster.ray_task import GRACE_SECONDS, Ended, Piece, Task, run_job

INSTALL = "python -m pip install 'ray>=2.60,<3'"
AUTO = "auto"
"""The cluster that RAY_ADDRESS names, or that this machine is a node of."""
ADDRESS = "RAY_ADDRESS"
CLIENT = "ray://"
ANSWER_SECONDS = 10.0
MOST_ATTEMPTS = 2
LOOK_SECONDS = 2.0
"""How often it is looked whether the nodes are still there."""


class ClusterError(Exception):
    """There is no cluster, or it can't run the plan."""


@dataclass(frozen=True)
class JobEnd:
    """How a job ended: the exit status of pytest, or why there is none."""

    status: int | None = None
    """None for a job that is lost: nobody has run it to its end."""
    why: str = ""

    def __str__(self) -> str:
        return f"lost: {self.why}" if self.status is None else f"pytest ended with {self.status}"


@dataclass
class _Attempt:
    """A task that was submitted."""

    task: Task
    number: int
    ended: Ended | None = None


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The `ray` module, connected to a cluster. Raises ClusterError."""
    try:
        import ray
    except ImportError:
        raise ClusterError(f"Ray is not installed: {INSTALL}") from None
    if address == AUTO:
        address = os.environ.get(ADDRESS) or AUTO
    if address != AUTO:
        _require_answer(address)
    try:
        ray.init(address=address, logging_level="warning")
    except (ConnectionError, RuntimeError, ValueError) as error:  # whatever was wrong with it
        why = str(error).partition("\n")[0]
        raise ClusterError(
            f"no Ray cluster to be had ({address}): {why} `ray start --head` starts one."
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise ClusterError where nobody listens: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if address.startswith(CLIENT):
        raise ClusterError(
            "Ray's client can't hand on records as they come: run this on a node of the cluster, "
            "with its HOST:PORT or no address at all"
        )
    if not (host and port.isdecimal()):
        raise ClusterError(f"{address!r} is no HOST:PORT of a Ray cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no Ray cluster answers at {address}: {error}") from None


@dataclass
class Dispatch:
    """Submits jobs, receives their records, and submits once more what was killed."""

    ray: Any
    demands: Mapping[int, Demand]
    records: Path
    """The folder that records are written to."""
    say: Callable[[str], None]
    ends: dict[int, JobEnd] = field(default_factory=dict)
    """By the job's index."""
    _remote: Any = field(init=False)
    _running: dict[Any, _Attempt] = field(default_factory=dict)
    """By Ray's generator of its pieces."""
    _files: dict[int, set[str]] = field(default_factory=dict)
    """Files of records that a job has written."""
    _looked: float = 0.0
    """When the nodes were last asked for, by the monotonic clock."""

    def __post_init__(self) -> None:
        # A process is used for one job: what a job leaves behind is not the next one's trouble.
        # Ray's own retries would send pieces again that have come already.
        self._remote = self.ray.remote(
            max_calls=1,
            max_retries=0,
            num_returns="streaming",
            scheduling_strategy="SPREAD",
        )(run_job)

    def run(self, tasks: Sequence[Task]) -> dict[int, JobEnd]:
        """Run all of them. Raises ClusterError, before any is submitted, where one has no node."""
        nowhere = infeasible(self.demands, self._nodes())
        if nowhere:
            told = "".join(f"\n  job {index}: {why}" for index, why in nowhere.items())
            raise ClusterError(f"the cluster can't run {len(nowhere)} of the jobs:{told}")
        try:
            for task in tasks:
                self._submit(task, 1)
            while self._running:
                self._receive(LOOK_SECONDS)
                if time.monotonic() - self._looked > LOOK_SECONDS:
                    self._give_up_without_node()
        finally:
            self._cancel()
        return self.ends

    def _nodes(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def _submit(self, task: Task, number: int) -> None:
        demand = self.demands[task.index]
        remote = self._remote.options(
            name=f"job {task.index}",
            num_cpus=demand.cpus,
            num_gpus=demand.gpus,
            resources={demand.machine: 1},
        )
        self._running[remote.remote(task)] = _Attempt(task, number)

    def _receive(self, seconds: float) -> None:
        """Wait for the next piece of any job, and take one of each that has some."""
        running = list(self._running)
        ready, _ = self.ray.wait(running, num_returns=len(running), timeout=0, fetch_local=False)
        if not ready:
            ready, _ = self.ray.wait(running, num_returns=1, timeout=seconds, fetch_local=False)
        for generator in ready:
            self._take(generator)

    def _take(self, generator: Any) -> None:
        attempt = self._running[generator]
        errors = self.ray.exceptions
        try:
            piece = self.ray.get(next(generator))
        except StopIteration:
            del self._running[generator]
            self._conclude(attempt, "it ended without saying how")
        except errors.RayTaskError as error:  # raised by `run_job`: it would be again
            del self._running[generator]
            self._end(attempt, JobEnd(why=str(error.cause)))
        except errors.RayError as error:  # the worker or its node has died
            del self._running[generator]
            self._conclude(attempt, type(error).__name__)
        else:
            if isinstance(piece, Ended):
                attempt.ended = piece
            else:
                self._write(attempt.task.index, piece)

    def _write(self, index: int, piece: Piece) -> None:
        files = self._files.setdefault(index, set())
        path = self.records / piece.file
        if piece.file not in files:
            files.add(piece.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.say(f"job {index}: runs, recorded in {piece.file}")
        with path.open("ab") as file:
            file.write(piece.content)

    def _conclude(self, attempt: _Attempt, if_cut_short: str) -> None:
        """Take what pytest ended with; what came to no end, or to a violent one, goes on."""
        if attempt.ended is None:
            self._retry(attempt, if_cut_short)
        elif attempt.ended.status < 0:
            self._retry(attempt, f"pytest was killed by signal {-attempt.ended.status}")
        else:
            self._end(attempt, JobEnd(attempt.ended.status))

    def _retry(self, attempt: _Attempt, why: str) -> None:
        """Submit what was killed once more, with what it has recorded."""
        task = attempt.task
        nowhere = why_nowhere(self.demands[task.index], self._nodes())
        if attempt.number == MOST_ATTEMPTS or nowhere:
            self._end(attempt, JobEnd(why="; ".join(filter(None, [why, nowhere]))))
            return
        self.say(f"job {task.index}: {why}; it goes on in a fresh worker")
        files = self._files.get(task.index, set())
        earlier = {file: (self.records / file).read_bytes() for file in sorted(files)}
        self._submit(replace(task, earlier=earlier), attempt.number + 1)

    def _end(self, attempt: _Attempt, end: JobEnd) -> None:
        self.ends[attempt.task.index] = end
        self.say(f"job {attempt.task.index}: {end} ({len(self._running)} more)")

    def _give_up_without_node(self) -> None:
        """A job that waits for a node that has died would wait for ever."""
        nodes = self._nodes()
        self._looked = time.monotonic()
        for generator, attempt in list(self._running.items()):
            nowhere = why_nowhere(self.demands[attempt.task.index], nodes)
            if nowhere:
                del self._running[generator]
                self.ray.cancel(generator)
                self._end(attempt, JobEnd(why=nowhere))

    def _cancel(self) -> None:
        """End what still runs; what it records until then is kept."""
        for generator in self._running:
            self.ray.cancel(generator)
        deadline = time.monotonic() + GRACE_SECONDS
        while self._running and time.monotonic() < deadline:
            ready, _ = self.ray.wait(list(self._running), num_returns=1, timeout=1)
            for generator in ready:
                self._take_last(generator)

    def _take_last(self, generator: Any) -> None:
        attempt = self._running[generator]
        try:
            piece = self.ray.get(next(generator))
        except (StopIteration, self.ray.exceptions.RayError):
            del self._running[generator]
        else:
            if isinstance(piece, Piece):
                self._write(attempt.task.index, piece)
