"""What processes of their own cost, and what several of them gain."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.runs import SMALL, run_suite

Figures = dict[str, float]

PASSES = 2
"""Each way is run so often, one after the other, and its fastest counts."""
ONE_CASE = ("--compat-model=gpt2", "--compat-modes=fp32", "-k", "recites_freely")
"""A run that does little but start: pytest, a worker where there is one, torch, one load."""
OWN_SCHEDULER = ("-n1",)
XDISTS_SCHEDULER = ("-n1", "--dist=worksteal")
ISOLATED = ("--compat-isolate",)
IN_PROCESS = ("-n0",)


def isolation() -> Figures:
    """A run with --compat-isolate over a plain one at -n1: at most 1.05.

    Plain is a worker that gets its cases from xdist's own scheduler, so that the scheduler of the
    suite, which keeps targets together and can replace a dead worker, is in the ratio, and so is
    all that watches over the worker. The other ratio is a worker over none, with what each takes to
    start and run one case left out: what goes between processes for every case.
    """
    plain, isolated, in_process = _fastest([XDISTS_SCHEDULER, ISOLATED, IN_PROCESS], SMALL)
    start_isolated, start_in_process = _fastest([ISOLATED, IN_PROCESS], ONE_CASE)
    return {
        "plain_seconds": round(plain, 1),
        "isolated_seconds": round(isolated, 1),
        "in_process_seconds": round(in_process, 1),
        "start_isolated_seconds": round(start_isolated, 1),
        "start_in_process_seconds": round(start_in_process, 1),
        "ratio": round(isolated / plain, 3),
        "ratio_to_in_process_without_start": round(
            (isolated - start_isolated) / (in_process - start_in_process), 3
        ),
    }


def speedup() -> Figures:
    """Two workers on two cores over one: at least 1.8 times as fast.

    As a person would run them: the one worker's torch may use both cores, each of the two has one.
    """
    one, two = _fastest([OWN_SCHEDULER, ("-n2",)], SMALL)
    return {
        "n1_seconds": round(one, 1),
        "n2_seconds": round(two, 1),
        "speedup": round(one / two, 2),
    }


def _fastest(ways: Sequence[Sequence[str]], selection: Sequence[str]) -> list[float]:
    """Seconds that each way of running a selection takes; the ways take turns."""
    passes = [[run_suite(*selection, *way).seconds for way in ways] for _ in range(PASSES)]
    return [min(seconds) for seconds in zip(*passes, strict=True)]
