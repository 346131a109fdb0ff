"""Pairs as targets: planned, named and selected beside models."""

from __future__ import annotations

import pytest

from compat.plugin.marks import mark_predicate
from compat.registry.load import default_registry_path, load_registry
from compat.registry.pair import PairSpec, entries_of, pair_named, pairs_of
from compat.targets import CPU_MODES, Device, Kind, Mode, Target, Weights
from compat.targets.nodepart import loaded_part
from compat.targets.plan import PlannedTarget, plan_cases, plan_targets
from compat.targets.selection import (
    Request,
    Selection,
    SelectionError,
    entries_with,
    requested_pairs,
)
from compat.targets.target import Case, CaseId
from tests.unit.targets_plan.test_plan import FakeCheck

REGISTRY = load_registry(default_registry_path())
PAIR = next(pairs_of(REGISTRY))
OF_PAIRS = FakeCheck("adapter_learns", "pairs", kind=Kind.PAIR)
OF_MODELS = FakeCheck()


def planned(pair: PairSpec = PAIR, weights: Weights = Weights.TWIN) -> list[PlannedTarget]:
    return list(plan_targets([pair], weights=(weights,), devices=(Device.CPU,)))


def reached(entries=None, **options) -> set[str]:
    """The slugs that a selection reaches."""
    selection = Selection(**options)
    entries = entries_of(REGISTRY) if entries is None else entries
    return {
        one.target.slug for one in selection.targets(entries) if selection.reaches(one, "pairs")
    }


def test_a_pair_is_loaded_in_the_modes_of_both_its_models():
    assert tuple(one.target.mode for one in planned()) == (*CPU_MODES, Mode.FP4)
    narrow = PAIR.target.model_copy(update={"modes": ("fp32", "nf4")})
    pair = PairSpec(PAIR.source, narrow)
    assert [one.target.mode for one in planned(pair)] == [Mode.FP32, Mode.NF4]


def test_a_pair_has_no_config_of_its_own_and_no_wrapper():
    assert planned(weights=Weights.CONFIG) == []
    wrapped = plan_targets([PAIR], weights=(Weights.TWIN,), wrappers=("bare", "adaptive"))
    assert {one.target.wrapper for one in wrapped} == {"bare"}


def test_a_pair_is_taken_apart_into_its_models():
    (source, one), (receiver, other) = planned()[0].parts
    assert (one, other) == (PAIR.source, PAIR.target)
    assert source == Target(one.id, one.slug, Weights.TWIN, Device.CPU, Mode.FP32)
    assert receiver == Target(other.id, other.slug, Weights.TWIN, Device.CPU, Mode.FP32)


def test_the_case_of_a_pair_is_spelled_in_full_and_read_back():
    target = planned()[0].target
    case = Case(target, "adapter_learns")
    assert case.id == (
        "meta-llama/Llama-3.2-1B-Instruct->mistralai/Mistral-7B-Instruct-v0.3"
        "/twin/cpu/fp32/bare/adapter_learns"
    )
    assert CaseId.parse(case.id).model == PAIR.id
    assert case.node_part == (
        "llama-3.2-1b-instruct-to-mistral-7b-instruct-v0.3-twin-cpu-fp32-adapter_learns"
    )
    assert loaded_part(case.node_part) == target.load_part


@pytest.mark.parametrize("entry", [PAIR, PAIR.source], ids=["pair", "model"])
def test_a_check_is_about_pairs_or_about_models(entry):
    cases = plan_cases(plan_targets([entry], weights=(Weights.TWIN,)), [OF_MODELS, OF_PAIRS])
    kinds = {(one.target.kind, check.kind) for one, check in cases}
    kind = Kind.PAIR if entry is PAIR else Kind.MODEL
    assert kinds == {(kind, kind)}


def test_a_pair_can_do_what_both_its_models_can():
    t5, gpt2 = REGISTRY.by_id("t5-small"), REGISTRY.by_id("gpt2")
    (one, *_) = planned(PairSpec(t5, gpt2))
    assert one.capabilities["decoder-only"] is False
    assert one.capabilities["vision"] is False
    (both, *_) = planned(PairSpec(gpt2, gpt2))
    assert both.capabilities["decoder-only"] is True


def test_what_is_not_known_of_both_is_left_to_the_subject():
    unknown = PAIR.source.model_copy(update={"chat_template": None})
    (one, *_) = planned(PairSpec(unknown, PAIR.target))
    assert "chat-template" not in one.capabilities
    without = PAIR.target.model_copy(update={"chat_template": False})
    (one, *_) = planned(PairSpec(unknown, without))
    assert one.capabilities["chat-template"] is False


def test_the_pairs_of_the_registry_are_in_the_base_set():
    assert {pair.slug for pair in pairs_of(REGISTRY)} <= reached()


def test_a_mark_expression_reaches_pairs_by_their_area():
    expression = mark_predicate("pairs", frozenset())
    assert PAIR.slug in reached(expression=expression)
    assert PAIR.slug not in reached(expression=mark_predicate("not pairs", frozenset()))


def test_a_model_alone_brings_no_pair_and_both_ends_do():
    assert reached(models=frozenset({PAIR.source.id})) == {PAIR.source.slug}
    both = {PAIR.source.slug, PAIR.target.slug, PAIR.slug}
    assert reached(models=frozenset({PAIR.source.id, PAIR.target.id})) == both


def test_a_pair_by_name_brings_neither_of_its_models():
    assert reached(models=frozenset({PAIR.id})) == {PAIR.slug}


def test_any_two_models_can_be_asked_for():
    request = Request(pairs=(("gpt2", "t5-small"), ("openai-community/gpt2", "t5-small")))
    pairs = requested_pairs(REGISTRY, request)
    assert [pair.slug for pair in pairs] == ["gpt2-to-t5-small"]
    entries = entries_with(REGISTRY, pairs)
    assert reached(entries, models=frozenset({pairs[0].id})) == {"gpt2-to-t5-small"}


def test_a_listed_pair_that_is_asked_for_is_there_once():
    pair = pair_named(REGISTRY, PAIR.source.slug, PAIR.target.slug)
    assert entries_with(REGISTRY, [pair]) == entries_of(REGISTRY)


def test_an_unknown_end_is_named_with_its_option():
    with pytest.raises(SelectionError, match=r"--compat-pair: no model 'gpt3' .* 'gpt2'"):
        requested_pairs(REGISTRY, Request(pairs=(("gpt3", "t5-small"),)))
