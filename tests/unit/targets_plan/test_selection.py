from __future__ import annotations

import pytest

from compat.plugin.marks import mark_predicate
from compat.registry.load import default_registry_path, load_registry
from compat.targets import Device, Mode, Weights
from compat.targets.selection import (
    Request,
    Selection,
    SelectionError,
    narrow,
    one_of,
    parse_names,
)

REGISTRY = load_registry(default_registry_path())
GPT2 = REGISTRY.by_id("gpt2")
CPU = frozenset({Device.CPU})
BOTH = frozenset(Device)
AREAS = ("forward", "hooks")


def reached(expression: str = "", present=CPU, area="forward", **options):
    """The (weights, device) that a selection reaches, in bf16 unless it says otherwise."""
    selection = Selection(
        present=present,
        expression=mark_predicate(expression, frozenset()) if expression else None,
        **options,
    )
    return {
        f"{one.target.weights}-{one.target.device}"
        for one in selection.targets([GPT2])
        if one.target.weights is not Weights.CONFIG and selection.reaches(one, area)
    }


def test_without_a_word_it_is_twins_on_the_devices_that_are_there():
    assert reached() == {"twin-cpu"}
    assert reached(present=BOTH) == {"twin-cpu", "twin-gpu"}


@pytest.mark.parametrize(
    ("expression", "without_gpu", "with_gpu"),
    [
        ("gpu", {"twin-gpu", "hub-gpu"}, {"twin-gpu", "hub-gpu"}),
        ("hub", {"hub-cpu"}, {"hub-cpu", "hub-gpu"}),
        ("not hooks", {"twin-cpu"}, {"twin-cpu", "twin-gpu"}),
        ("not cpu", set(), {"twin-gpu"}),
        ("not gpu", {"twin-cpu"}, {"twin-cpu"}),
        ("bf16", {"twin-cpu"}, {"twin-cpu", "twin-gpu"}),
        ("gpu and not hub", {"twin-gpu"}, {"twin-gpu"}),
        ("gpu and hub", {"hub-gpu"}, {"hub-gpu"}),
        ("hub and cpu", {"hub-cpu"}, {"hub-cpu"}),
        ("gpu and not hooks", {"twin-gpu", "hub-gpu"}, {"twin-gpu", "hub-gpu"}),
        ("twin", {"twin-cpu"}, {"twin-cpu", "twin-gpu"}),
        ("local", set(), set()),
    ],
)
def test_an_expression_brings_in_only_what_it_is_about(expression, without_gpu, with_gpu):
    assert reached(expression) == without_gpu
    assert reached(expression, present=BOTH) == with_gpu


def test_an_area_may_decide_an_expression():
    assert reached("hooks", area="forward") == set()
    assert reached("hooks", area="hooks") == {"twin-cpu"}
    assert reached("gpu and hooks", area="hooks") == {"twin-gpu", "hub-gpu"}


def test_what_was_asked_for_by_name_needs_no_mark():
    request = Request(weights=frozenset({Weights.HUB}))
    assert reached(request=request) == {"hub-cpu"}
    assert reached("not hooks", request=request) == {"hub-cpu"}


def test_what_was_not_asked_for_by_name_is_brought_in_by_no_mark():
    assert reached("hub", request=Request(weights=frozenset({Weights.TWIN}))) == set()


def test_a_named_target_is_in_whatever_else_holds():
    selection = Selection(models=frozenset(), named=frozenset({"gpt2-hub-gpu-nf4"}))
    (only,) = selection.targets(REGISTRY.models)
    assert only.target.load_part == "gpt2-hub-gpu-nf4"


def test_an_expression_with_marks_of_others_leaves_the_base_set_alone():
    assert reached("slow", decisive=False) == {"twin-cpu"}
    assert reached("slow and gpu", decisive=False) == {"twin-cpu"}


def test_fp4_runs_on_request_only():
    by_default = {one.target.mode for one in Selection().targets([GPT2])}
    asked = Request(modes=frozenset({Mode.FP4}))
    assert Mode.FP4 not in by_default
    assert {one.target.mode for one in Selection(asked).targets([GPT2])} == {Mode.FP4}


def test_models_are_named_by_id_alias_or_slug():
    assert narrow(REGISTRY, Request(models=("openai-community/gpt2",))) == (GPT2,)
    assert narrow(REGISTRY, Request(models=("gpt2", "gpt2"))) == (GPT2,)


def test_a_family_that_is_none_lists_the_families():
    with pytest.raises(SelectionError, match=r"no family 'gtp'; there are .*gpt2"):
        narrow(REGISTRY, Request(families=("gtp",)))


def test_the_first_models_of_each_family():
    chosen = narrow(REGISTRY, Request(per_family=1))
    families = [spec.family for spec in chosen]
    assert len(families) == len(set(families)) == len({m.family for m in REGISTRY.models})


def test_a_name_that_is_none_lists_the_names():
    with pytest.raises(SelectionError, match="--here: 'fp3' is none of fp32, bf16"):
        one_of(Mode, "fp3", "--here")
    assert parse_names(Mode, "fp32, nf4,", "--here") == {Mode.FP32, Mode.NF4}
