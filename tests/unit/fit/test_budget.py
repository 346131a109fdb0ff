"""What has to be free, and where it is short."""

from __future__ import annotations

import pytest

from compat.fit.budget import CUDA_CONTEXT, FLOAT_MARGIN, QUANTIZED_MARGIN, RUNTIME, Bill, Place
from compat.fit.judge import in_words
from compat.fit.needs import Amount, Needs
from compat.fit.room import Room

GB = 10**9


def test_a_gpu_has_to_hold_needs_margin_and_context():
    assert (
        Bill.of(Needs(gpu=Amount(10 * GB, GB))).gpu == 11 * GB * (1 + FLOAT_MARGIN) + CUDA_CONTEXT
    )


def test_what_runs_quantized_has_a_wider_margin():
    bill = Bill.of(Needs(gpu=Amount(10 * GB), quantized=True))
    assert bill.gpu == round(10 * GB * (1 + QUANTIZED_MARGIN)) + CUDA_CONTEXT


def test_a_cpu_alone_needs_nothing_of_a_gpu():
    bill = Bill.of(Needs(host=Amount(GB)))
    assert bill.gpu == 0
    assert bill.host > GB + RUNTIME


@pytest.mark.parametrize(
    ("room", "places"),
    [
        (Room((24 * GB,), 64 * GB, 64 * GB), []),
        (Room((4 * GB,), 64 * GB, 64 * GB), [Place.GPU]),
        (Room((24 * GB,), GB, GB), [Place.HOST, Place.DISK]),
        (Room((), 64 * GB, 64 * GB), [Place.GPU]),
    ],
)
def test_every_place_that_is_short_is_named(room, places):
    bill = Bill.of(Needs(Amount(10 * GB), Amount(10 * GB), disk=10 * GB))
    assert [place for place, _, _ in bill.short(room)] == places


def test_weights_are_spread_over_gpus_first_and_main_memory_then():
    bill = Bill.of(Needs(gpu=Amount(0, GB), spread=100 * GB))
    free = 40 * GB
    left = bill.spread - 2 * (free - bill.gpu)
    assert bill.beyond_gpus(Room((free, free), 0)) == left
    assert bill.fits(Room((free, free), left + bill.host))
    assert not bill.fits(Room((free, free), left + bill.host - 1))


@pytest.mark.parametrize(
    ("free", "short"),
    [((60, 60), []), ((24, 24), [Place.GPU]), ((60, 1, 60), []), ((1, 200), [Place.GPU])],
    ids=["fits", "spread is short", "one of them takes no part", "the first is short"],
)
def test_what_a_backward_keeps_on_gpus_is_short_there_and_main_memory_is_no_way_out(free, short):
    bill = Bill.of(Needs(gpu=Amount(0, GB), spread=100 * GB, pinned=True))
    room = Room(tuple(each * GB for each in free), 1000 * GB)
    assert [place for place, _, _ in bill.short(room)] == short
    assert bill.beyond_gpus(room) == 0


def test_what_is_pinned_is_short_by_the_first_byte_that_no_gpu_has_room_for():
    bill = Bill.of(Needs(gpu=Amount(0, GB), spread=100 * GB, pinned=True))
    enough = bill.spread // 2 + bill.gpu
    assert bill.fits(Room((enough, enough), 1000 * GB))
    assert in_words(bill, Room((enough, enough), 0)).startswith("108.3 GB of GPU memory")
    assert not bill.fits(Room((enough, enough - 1), 1000 * GB))


def test_two_models_are_held_together_and_run_in_turn():
    both = Needs(host=Amount(10, 5)) + Needs(host=Amount(20, 7))
    assert both.host == Amount(30, 7)
