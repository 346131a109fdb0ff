"""What is left of a run, told from earlier ones."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from compat.plugin import progress
from compat.plugin.durations import KEY, Durations
from compat.plugin.progress import Progress, in_words

LOADS = [f"gpt2-twin-cpu-{mode}" for mode in ("fp32", "bf16", "fp16", "int8")]


def said_after_three(monkeypatch, past):
    """The time left when three of four targets, of two cases each, have taken a minute."""
    clock = iter([0.0, 0.0, 60.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    cache = SimpleNamespace(get=lambda key, default: {KEY: past}.get(key, default))
    followed = Progress(SimpleNamespace(), Durations(SimpleNamespace(cache=cache)))
    followed._expect(f"t.py::test_check[{load}-{check}]" for load in LOADS for check in "ab")
    for load in LOADS[:3]:
        followed._targets[load].outcomes["passed"] = 2
        followed._complete += 1
    return in_words(followed._seconds_left())


@pytest.mark.parametrize(
    ("past", "said"),
    [
        ({}, "about 20 s left"),
        (dict.fromkeys(LOADS, 5.0), "about 20 s left"),
        (dict.fromkeys(LOADS, 1.0) | {LOADS[3]: 6.0}, "about 2 min left"),
        (dict.fromkeys(LOADS, 1.0) | {LOADS[3]: 0.1}, ""),
    ],
    ids=["nothing known", "all alike", "the longest is left", "not worth telling"],
)
def test_earlier_runs_tell_how_long_the_rest_takes(monkeypatch, past, said):
    assert said_after_three(monkeypatch, past) == said
