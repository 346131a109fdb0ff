from __future__ import annotations

from types import SimpleNamespace

import pytest

from compat.plugin.naming import NamedCases
from compat.plugin.wrappers import offered_wrappers, own_wrappers, wrappers_named
from compat.targets import Device, Mode, Target, Weights
from compat.targets.selection import SelectionError

OFFERED = {"bare": object, "adaptive": object, "half-open": object}
NAMED = NamedCases(
    frozenset(
        {
            "gpt2-twin-cpu-fp32-logits_finite",
            "gpt2-twin-cpu-disk-offload-half-open-logits_finite",
            "gpt2-twin-cpu-nf4-adaptive",
        }
    )
)


def config(*offered):
    """A pytest config in which these are offered, the last one registered first."""
    hook = SimpleNamespace(pytest_compat_wrappers=lambda config: list(offered))
    return SimpleNamespace(hook=hook)


def target(mode, wrapper):
    return Target("openai-community/gpt2", "gpt2", Weights.TWIN, Device.CPU, mode, wrapper)


def test_the_suite_offers_its_own_by_the_names_that_they_have():
    assert list(own_wrappers()) == ["bare", "adaptive"]
    assert all(factory().name == name for name, factory in own_wrappers().items())


def test_those_of_others_come_behind_the_suite_s():
    assert list(offered_wrappers(config({"theirs": object}, own_wrappers()))) == [
        "bare",
        "adaptive",
        "theirs",
    ]


def test_a_name_is_taken_once():
    with pytest.raises(SelectionError, match="two wrappers are called 'adaptive'"):
        offered_wrappers(config({"adaptive": object}, own_wrappers()))


@pytest.mark.parametrize("name", ["Adaptive", "my_wrapper", "a--b", "", "a/b", "-a"])
def test_a_name_stands_in_node_ids(name):
    with pytest.raises(SelectionError, match="lower case with hyphens"):
        offered_wrappers(config({name: object}))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, ("bare",)),
        ("", ("bare",)),
        ("adaptive", ("adaptive",)),
        ("adaptive, bare,adaptive", ("adaptive", "bare")),
    ],
)
def test_wrappers_are_named_with_commas(text, names):
    assert wrappers_named(text, OFFERED) == names


def test_a_name_that_nobody_offers_is_answered_by_those_there_are():
    with pytest.raises(SelectionError, match="'open' is none of bare, adaptive, half-open"):
        wrappers_named("bare,open", OFFERED)


def test_named_cases_bring_their_wrappers():
    assert NAMED.wrappers_among(["adaptive", "half-open", "open"]) == ("adaptive", "half-open")


@pytest.mark.parametrize(
    ("mode", "wrapper", "about"),
    [
        (Mode.NF4, "adaptive", True),
        (Mode.DISK_OFFLOAD, "half-open", True),
        (Mode.DISK_OFFLOAD, "adaptive", False),
        (Mode.FP32, "half-open", False),
        (Mode.FP32, "adaptive", False),
    ],
)
def test_a_named_case_is_about_its_own_wrapper_only(mode, wrapper, about):
    assert NAMED.is_about(target(mode, wrapper)) is about
