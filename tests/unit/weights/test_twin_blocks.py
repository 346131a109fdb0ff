"""A twin keeps a run of neighbouring blocks that holds every kind of block."""

from __future__ import annotations

from compat.weights.twin.blocks import choose_run, cut_to_run


def test_two_blocks_where_all_are_of_one_kind() -> None:
    assert choose_run({}, 32) == range(2)


def test_a_model_with_one_block_keeps_it() -> None:
    assert choose_run({}, 1) == range(1)


def test_the_run_begins_where_two_kinds_of_attention_meet() -> None:
    fields = {"layer_types": ["sliding"] * 5 + ["full"] + ["sliding"] * 5 + ["full"]}
    run = choose_run(fields, 12)
    assert run == range(4, 6)
    assert cut_to_run(fields, 12, run) == {"layer_types": ["sliding", "full"]}


def test_periods_of_two_traits_give_three_blocks_where_three_kinds_exist() -> None:
    fields = {
        "attn_layer_period": 8,
        "attn_layer_offset": 4,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
    }
    run = choose_run(fields, 32)
    cut = cut_to_run(fields, 32, run)
    attention = [index % 8 == cut["attn_layer_offset"] for index in range(len(run))]
    experts = [index % 2 == cut["expert_layer_offset"] for index in range(len(run))]
    kinds = set(zip(attention, experts, strict=True))
    assert len(run) == 3
    assert kinds == {(False, False), (False, True), (True, False)}


def test_dense_blocks_before_experts_leave_one_of_each() -> None:
    fields = {"first_k_dense_replace": 3}
    run = choose_run(fields, 61)
    assert run == range(2, 4)
    assert cut_to_run(fields, 61, run) == {"first_k_dense_replace": 1}


def test_lists_of_block_numbers_are_moved_with_the_run() -> None:
    fields = {"attn_layer_indices": [9, 18, 27]}
    run = choose_run(fields, 32)
    assert run == range(8, 10)
    assert cut_to_run(fields, 32, run) == {"attn_layer_indices": [1]}


def test_a_list_that_is_as_long_as_the_stack_is_short_is_no_list_of_blocks() -> None:
    assert cut_to_run({"eos_token_id": [1, 2]}, 2, range(2)) == {}
