"""What processes of their own cost, and what several of them gain."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.runs import SMALL, SuiteRun, empty_folder, run_suite

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
    runs = _fastest([XDISTS_SCHEDULER, ISOLATED, IN_PROCESS], SMALL)
    plain, isolated, in_process = (run.seconds for run in runs)
    starts = _fastest([ISOLATED, IN_PROCESS], ONE_CASE)
    start_isolated, start_in_process = (run.seconds for run in starts)
    return {
        "plain_seconds": round(plain, 1),
        "isolated_seconds": round(isolated, 1),
        "in_process_seconds": round(in_process, 1),
        "start_isolated_seconds": round(start_isolated, 1),
        "start_in_process_seconds": round(start_in_process, 1),
        "ratio": round(isolated / plain, 3),
        "ratio_of_processor_time": round(runs[1].cpu_seconds / runs[0].cpu_seconds, 3),
        "ratio_to_in_process_without_start": round(
            (isolated - start_isolated) / (in_process - start_in_process), 3
        ),
    }


def speedup() -> Figures:
    """Two workers on two cores over one: at least 1.8 times as fast.

    As a person would run them: the one worker's torch may use both cores, each of the two has one,
    and after the first pass it is known which targets take long, and these begin first.
    """
    one, two = _fastest([OWN_SCHEDULER, ("-n2",)], SMALL)
    return {
        "n1_seconds": round(one.seconds, 1),
        "n2_seconds": round(two.seconds, 1),
        "speedup": round(one.seconds / two.seconds, 2),
        "n1_processor_seconds": round(one.cpu_seconds, 1),
        "n2_processor_seconds": round(two.cpu_seconds, 1),
    }


def _fastest(ways: Sequence[Sequence[str]], selection: Sequence[str]) -> list[SuiteRun]:
    """The fastest run of a selection in each of some ways; the ways take turns."""
    with empty_folder() as cache:
        passes = [[run_suite(*selection, *way, cache=cache) for way in ways] for _ in range(PASSES)]
    return [min(runs, key=lambda run: run.seconds) for runs in zip(*passes, strict=True)]
