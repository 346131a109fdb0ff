"""Pairs: two models of the registry, for latent communication."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat.outcomes import Blame
from compat.registry import (
    Conditions,
    FailureIndex,
    Registry,
    UnknownModelError,
    default_registry_path,
    entries_of,
    load_registry,
    pair_named,
    pairs_of,
    parse_registry,
    stale_rows,
)
from compat.targets import Device, Mode, Weights
from compat.targets.target import CaseId

Complaints = Callable[[str], list[str]]

PAIRS = """\
pairs:
  - {source: acme/oak-1b, target: acme/pine-2b}
  - source: acme/pine-2b
    target: acme/oak-1b
"""
ROW = """\
    known_failures:
      - check: adapter_learns
        blame: model
        reason: pines do not listen
        raises: {type: AssertionError, match: loss}
"""


@pytest.fixture
def registry(two_models: str) -> Registry:
    return parse_registry(two_models + PAIRS + ROW)


def test_a_pair_is_named_after_its_ends_in_order(registry: Registry) -> None:
    there, back = pairs_of(registry)
    assert (there.id, there.slug) == ("acme/oak-1b->acme/pine-2b", "oak-1b-to-pine-2b")
    assert (back.id, back.slug) == ("acme/pine-2b->acme/oak-1b", "pine-2b-to-oak-1b")
    assert there.family == "oak->pine"


def test_pairs_stand_behind_the_models(registry: Registry) -> None:
    assert [len(entry.models) for entry in entries_of(registry)] == [1, 1, 2, 2]


def test_a_registry_without_pairs_has_none(two_models: str) -> None:
    assert list(pairs_of(parse_registry(two_models))) == []


def test_any_two_models_make_a_pair_by_any_of_their_names(registry: Registry) -> None:
    assert pair_named(registry, "oak", "oak-1b").id == "acme/oak-1b->acme/oak-1b"


def test_a_listed_pair_comes_with_its_known_failures(registry: Registry) -> None:
    assert [row.check for row in pair_named(registry, "pine-2b", "oak").known_failures] == [
        "adapter_learns"
    ]


def test_a_pair_with_an_unknown_end_is_refused_on_request(registry: Registry) -> None:
    with pytest.raises(UnknownModelError, match="no model 'oka' in the registry"):
        pair_named(registry, "oka", "pine-2b")


def test_a_known_failure_of_a_pair_is_about_that_pair_alone(registry: Registry) -> None:
    index = FailureIndex(registry, Conditions())
    there, back = pairs_of(registry)
    for pair, expected in ((there, None), (back, Blame.MODEL)):
        case = CaseId(pair.id, Weights.TWIN, Device.CPU, Mode.FP32, "bare", "adapter_learns")
        found = index.expected(pair, case)
        assert (found and found.blame) == expected
        assert CaseId.parse(f"{case.target}/{case.check}") == case


def test_a_known_failure_of_a_pair_can_be_stale(registry: Registry) -> None:
    (stale,) = stale_rows(registry, [])
    assert stale.failure.line == 31


def test_an_end_that_is_no_id_is_named_with_its_line(
    two_models: str, complaints: Complaints
) -> None:
    text = two_models + "pairs:\n  - source: oak\n    target: acme/pine-3b\n"
    assert complaints(text) == [
        "models.yaml:27: pairs[0] (oak->acme/pine-3b): source 'oak' is no id of a model above",
        "models.yaml:28: pairs[0] (oak->acme/pine-3b): target 'acme/pine-3b' is no id of a model "
        "above; did you mean 'acme/pine-2b'?",
    ]


def test_a_pair_that_is_listed_twice_is_named_with_both_lines(
    two_models: str, complaints: Complaints
) -> None:
    text = two_models + PAIRS + "  - {source: acme/oak-1b, target: acme/pine-2b}\n"
    assert complaints(text) == [
        "models.yaml:30: pairs[2] (acme/oak-1b->acme/pine-2b): this pair is on line 27 too"
    ]


def test_a_pair_without_a_target_is_incomplete(two_models: str, complaints: Complaints) -> None:
    text = two_models + "pairs:\n  - {source: acme/oak-1b, targets: [acme/pine-2b]}\n"
    assert complaints(text) == [
        "models.yaml:27: pairs[0] (no pair): missing key 'target'",
        "models.yaml:27: pairs[0] (no pair): unknown key 'targets'; did you mean 'target'? "
        "allowed: source, target, known_failures",
    ]


def test_a_row_of_a_pair_is_about_no_other_model(two_models: str, complaints: Complaints) -> None:
    text = two_models + PAIRS + ROW + "        model: acme/pine-2b\n"
    (said,) = complaints(text)
    assert "'model' belongs to the rows for several models" in said
    assert said.endswith("this row is about its own pair")


def test_the_pairs_of_this_registry_are_those_of_its_models() -> None:
    registry = load_registry(default_registry_path())
    assert [pair.slug for pair in pairs_of(registry)] == [
        "llama-3.2-1b-instruct-to-mistral-7b-instruct-v0.3",
        "llama-3.2-3b-instruct-to-qwen2.5-1.5b-instruct",
        "llama-3.1-8b-instruct-to-qwen2.5-7b-instruct",
    ]
