"""Making many twins at once, in processes of their own."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from compat.outcomes import CannotRun
from compat.registry.spec import ModelSpec
from compat.targets import Checkpoint
from compat.weights.twin.store import TwinNotTaughtError, twin_checkpoint


@dataclass(frozen=True)
class Made:
    """What came of one twin."""

    model: str
    checkpoint: Checkpoint | None
    seconds: float
    problem: str = ""
    """Why there is no checkpoint."""
    excused: bool = False
    """Whether that is no fault of the twin: the model has no native class."""


def teach_all(
    specs: Sequence[ModelSpec], *, workers: int = 2, cache: Path | None = None
) -> Iterator[Made]:
    """Find or teach the twins of `specs`, yielding each as it is done.

    Every worker is a new process that computes on one thread. A failure other than a twin that did
    not learn or can't exist is raised.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        tasks = [pool.submit(_make, spec, cache) for spec in spread_out(specs)]
        for done in as_completed(tasks):
            yield done.result()


def spread_out(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    """The first of every family, then the second, and so on.

    Models of one family often share a shape, and the second would wait for the first.
    """
    seen: Counter[str] = Counter()
    ranked = []
    for spec in specs:
        ranked.append((seen[spec.family], spec))
        seen[spec.family] += 1
    return [spec for _, spec in sorted(ranked, key=lambda pair: pair[0])]


def _make(spec: ModelSpec, cache: Path | None) -> Made:
    began = time.perf_counter()
    checkpoint, problem, excused = None, "", False
    try:
        checkpoint = twin_checkpoint(spec, cache=cache)
    except CannotRun as cannot:
        problem, excused = cannot.reason.text, True
    except TwinNotTaughtError as error:
        problem = str(error)
    return Made(spec.id, checkpoint, time.perf_counter() - began, problem, excused)
