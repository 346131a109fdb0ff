"""Live bytes: what is counted, for how long, and what is not."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from compat.anatomy.live_storage import LiveStorage

FLOATS = 256
BYTES = 4 * FLOATS


def test_what_an_operation_puts_out_is_counted_until_it_is_freed() -> None:
    with LiveStorage([]) as storage:
        one = torch.zeros(FLOATS)
        two = one + 1
        assert storage.live == 2 * BYTES
        del one
        assert storage.live == BYTES
        del two
    assert (storage.live, storage.peak) == (0, 2 * BYTES)


def test_a_view_shares_the_storage_of_what_it_views() -> None:
    with LiveStorage([]) as storage:
        whole = torch.zeros(FLOATS)
        half = whole[: FLOATS // 2]
        del whole
        assert storage.live == BYTES
        del half
        assert storage.live == 0


def test_what_is_known_counts_for_nothing_nor_do_its_views() -> None:
    weight = torch.zeros(8, 8)
    with LiveStorage([weight]) as storage:
        weight.t()
        weight.add_(1)
    assert storage.peak == 0


def test_fake_tensors_are_counted_like_real_ones() -> None:
    def run() -> int:
        with LiveStorage([]) as storage:
            hidden = torch.zeros(4, 64)
            torch.nn.functional.gelu(hidden @ torch.zeros(64, 256)) + 1
        return storage.peak

    with FakeTensorMode():
        fake = run()
    assert fake == run() > 0


def test_grouped_products_of_fake_float32_are_counted_in_float32() -> None:
    with FakeTensorMode(), LiveStorage([]) as storage:
        rows, experts = torch.zeros(8, 64), torch.zeros(2, 64, 32)
        before = storage.live
        product = torch._grouped_mm(rows, experts, offs=torch.tensor([3, 8], dtype=torch.int32))
        assert product.dtype is torch.float32
        assert storage.peak - before >= 8 * 32 * 4


@given(st.lists(st.one_of(st.integers(1, 64), st.none()), max_size=30))
def test_the_peak_is_that_of_the_bookkeeping(steps: list[int | None]) -> None:
    """A number allocates so many floats, None frees what was allocated first."""
    held: list[torch.Tensor] = []
    live = peak = 0
    with LiveStorage([]) as storage:
        for floats in steps:
            if floats is not None:
                held.append(torch.zeros(floats))
                live += 4 * floats
            elif held:
                live -= 4 * held.pop(0).numel()
            peak = max(peak, live)
            assert storage.live == live
    assert storage.peak == peak


def test_a_packed_weight_is_unpacked_while_it_is_multiplied_with_and_at_no_other_time() -> None:
    weight, hidden = torch.zeros(64, 64), torch.zeros(1, 64)
    with LiveStorage([weight, hidden], packed=[weight]) as storage:
        product = hidden @ weight.t()
        later = torch.zeros(2048)
        del product
    assert storage.peak_unpacking == 4 * 64 * 64 + 4 * 64
    with LiveStorage([weight, hidden], packed=[weight]) as storage:
        product = hidden @ weight.t()
        later = torch.zeros(8192)
    assert storage.peak_unpacking == storage.peak == later.nbytes + product.nbytes, "not added up"


def test_cuda_s_allocator_rounds_each_tensor_that_is_alive() -> None:
    with LiveStorage([]) as storage:
        one, two = torch.zeros(1), torch.zeros(1)
        del one, two
        three = torch.zeros(1)
    assert storage.rounding == 2 * 512
    with LiveStorage([]) as storage:
        three = torch.zeros(2**18), torch.zeros(2**18 + 1)  # noqa: F841  # alive
    assert storage.rounding == 2 * 512 + 2**20
