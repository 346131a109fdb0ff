"""Packing targets into jobs: longest first, each into the job that has least to do."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from compat.cluster.plan import Job


@dataclass(frozen=True)
class Work:
    """A target that is loaded once, and so is never split."""

    target: str
    machine: str
    """Label of the kind of machine that it is for."""
    seconds: float
    """That it is expected to take."""


def pack(works: Iterable[Work], most: int, aim: float | None = None) -> tuple[Job, ...]:
    """Jobs for all of `works`: at most `most`, and no more than last `aim` seconds each ask for.

    Longest processing time first (Graham 1969): the longest job is at most 4/3 - 1/(3 m) of the
    best possible one's length for m jobs. Raises ValueError where there are more kinds of machine
    than jobs.
    """
    by_machine: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        by_machine[work.machine].append(work)
    if len(by_machine) > most:
        raise ValueError(f"{len(by_machine)} kinds of machine need as many jobs, and {most} may be")
    counts = _jobs_of_each(by_machine, most, aim)
    jobs: list[Job] = []
    for machine, own in by_machine.items():
        for targets, seconds in _shared_out(own, counts[machine]):
            job = Job(index=len(jobs), machine=machine, seconds=seconds, targets=targets)
            jobs.append(job)
    return tuple(jobs)


def _jobs_of_each(
    by_machine: Mapping[str, Sequence[Work]], most: int, aim: float | None
) -> dict[str, int]:
    """How many jobs each kind of machine gets: the next one goes where jobs are longest."""
    seconds = {machine: sum(one.seconds for one in own) for machine, own in by_machine.items()}
    counts = dict.fromkeys(by_machine, 1)
    waiting = [(-total, machine) for machine, total in seconds.items()]
    heapq.heapify(waiting)
    left = most - len(counts)
    while left and waiting:
        longest, machine = heapq.heappop(waiting)
        wanted = len(by_machine[machine]) if aim is None else ceil(seconds[machine] / aim)
        if counts[machine] >= min(wanted, len(by_machine[machine])):
            continue
        if longest == 0:
            break
        counts[machine] += 1
        left -= 1
        heapq.heappush(waiting, (-seconds[machine] / counts[machine], machine))
    return counts


def _shared_out(works: Sequence[Work], jobs: int) -> list[tuple[tuple[str, ...], float]]:
    """Targets and seconds of each job, in no job a target of another; the order of plans kept."""
    place = {work.target: index for index, work in enumerate(works)}
    heap: list[tuple[float, int]] = [(0.0, index) for index in range(jobs)]
    targets: list[list[str]] = [[] for _ in range(jobs)]
    for work in sorted(works, key=lambda one: -one.seconds):
        seconds, index = heapq.heappop(heap)
        targets[index].append(work.target)
        heapq.heappush(heap, (seconds + work.seconds, index))
    return [
        (tuple(sorted(targets[index], key=place.__getitem__)), round(seconds, 3))
        for seconds, index in sorted(heap, key=lambda pair: pair[1])
        if targets[index]
    ]
