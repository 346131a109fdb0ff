"""Targets packed into jobs."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.cluster.packing import Work, pack


def works(*seconds: float, machine: str = "small") -> list[Work]:
    return [Work(f"{machine}-{index}", machine, one) for index, one in enumerate(seconds)]


def test_the_longest_go_first_and_each_job_lasts_about_as_long():
    jobs = pack(works(9, 1, 5, 4, 3, 2), most=2)
    assert [job.seconds for job in jobs] == [12, 12]


def test_a_job_keeps_the_order_of_the_registry():
    (job,) = pack(works(1, 9, 5), most=1)
    assert job.targets == ("small-0", "small-1", "small-2")


def test_no_more_jobs_than_targets():
    assert len(pack(works(3, 3), most=8)) == 2


def test_no_more_jobs_than_the_time_that_each_is_to_last_asks_for():
    assert len(pack(works(*[10] * 12), most=8, aim=60)) == 2


def test_targets_of_different_machines_share_no_job():
    jobs = pack([*works(5, 5), *works(50, 50, 50, machine="large")], most=4)
    assert [job.machine for job in jobs] == ["small", "large", "large", "large"]
    assert [job.index for job in jobs] == [0, 1, 2, 3]


def test_more_kinds_of_machine_than_jobs_is_refused():
    with pytest.raises(ValueError, match="2 kinds of machine need as many jobs, and 1 may be"):
        pack([*works(1), *works(1, machine="large")], most=1)


def test_targets_that_are_expected_to_take_no_time_are_in_some_job_too():
    assert sum(len(job.targets) for job in pack(works(0, 0, 0), most=2)) == 3


@settings(derandomize=True, max_examples=60)
@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=60), st.integers(1, 12))
def test_nothing_is_lost_split_or_doubled_and_the_longest_job_is_near_the_best(seconds, most):
    jobs = pack(works(*seconds), most=most)
    named = [target for job in jobs for target in job.targets]
    assert sorted(named) == sorted(f"small-{index}" for index in range(len(seconds)))
    longest = max(job.seconds for job in jobs)
    least = max(max(seconds), sum(seconds) / len(jobs))
    assert longest <= least * (4 / 3) + max(seconds) + 0.01 * len(seconds)
    assert len(jobs) <= most


def test_a_plan_does_not_depend_on_chance():
    shuffled = works(*[random.Random(7).uniform(1, 100) for _ in range(50)])
    assert pack(shuffled, most=5) == pack(list(shuffled), most=5)
