"""The largest batch that fits, and the line that peaks are drawn on."""

from __future__ import annotations

import pytest

from compat.fit import Task, Workload
from compat.fit.batches import MOST, RUN_AT, Line, largest_batch
from compat.fit.facts import Build
from compat.fit.room import Room
from compat.fit.tabulate import Question, line_of
from compat.targets import Device, Mode


@pytest.mark.parametrize("most", [1, 2, 3, 7, 8, 100, MOST])
def test_the_largest_that_fits_is_found(most):
    assert largest_batch(lambda batch: batch <= most) == most


def test_where_not_one_row_fits_it_is_none():
    assert largest_batch(lambda batch: False) == 0


def test_nobody_is_asked_beyond_the_bound():
    assert largest_batch(lambda batch: True, most=12) == 12


def test_a_batch_of_one_may_lie_beside_the_line():
    line = Line.through(lambda batch: 1000 if batch == 1 else 100 * batch)
    assert [line.at(batch) for batch in (1, 2, 3, 64)] == [1000, 200, 300, 6400]


@pytest.mark.parametrize("name", ["llama-3.2-1b", "gpt2", "t5-small"])
@pytest.mark.parametrize("task", [Task.FORWARD, Task.BACKWARD])
def test_a_far_batch_lies_on_the_line_through_two_near_ones(name, task, facts, spec_of):
    question = Question(Device.CPU, Room(), Workload(1, 32))
    line = line_of(spec_of(name), Mode.BF16, question, facts, task)
    far = 5 * RUN_AT[1]
    build = Build(spec_of(name), "bfloat16", question.workload.attention)
    run = facts.forward if task is Task.FORWARD else facts.backward
    assert line.at(far) == pytest.approx(run(build, far, 32).peak, rel=0.01)
