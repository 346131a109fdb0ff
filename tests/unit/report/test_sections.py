"""Plots, samples, environments and the download: what stands beside the matrix."""

from __future__ import annotations

import gzip
import json

from compat.report import build_view
from compat.report.speed import LEFT, RIGHT, WIDTH
from compat.results.record import CaseRecord
from compat.targets import Mode, Weights
from tests.unit.report.records import (
    CHECKS,
    case_record,
    environment_record,
    model_spec,
    passing,
    registry_of,
    run_records,
    target_of,
)

ANVIL, ROCKET = model_spec("acme/anvil-1b"), model_spec("acme/rocket-7b", family="rocket")
REGISTRY = registry_of(ROCKET, ANVIL)


def measured(spec, weights=Weights.TWIN, mode=Mode.FP32, sample=None, **measures) -> CaseRecord:
    target = target_of(spec, mode, weights)
    return case_record(target, CHECKS[0], measures=measures, sample=sample)


def test_a_plot_has_a_dot_for_each_model_and_the_median() -> None:
    cases = [measured(ANVIL, load_seconds=0.01), measured(ROCKET, load_seconds=1.0)]
    (plot,) = build_view(cases, REGISTRY).plots
    (strip,) = plot.strips
    assert sorted(dot.x for dot in strip.dots) == [LEFT, WIDTH - RIGHT]
    assert strip.median == "505 ms"
    assert {dot.text for dot in strip.dots} == {"anvil-1b: 10 ms", "rocket-7b: 1 s"}
    assert plot.summary == "Time to load, median of twin: fp32 505 ms"


def test_weights_of_different_kinds_have_plots_of_their_own() -> None:
    cases = [
        measured(spec, weights, tokens_per_second=9.0)
        for spec in (ANVIL, ROCKET)
        for weights in (Weights.TWIN, Weights.HUB)
    ]
    plots = build_view(cases, REGISTRY).plots
    assert [plot.weights for plot in plots] == [Weights.HUB, Weights.TWIN]


def test_one_model_alone_is_no_plot() -> None:
    assert build_view([measured(ANVIL, load_seconds=1.0)], REGISTRY).plots == ()


def test_models_that_write_the_same_are_told_once_a_family_in_the_registry_s_order() -> None:
    cases = [
        measured(ANVIL, mode=mode, sample="a time", prompt="Once upon")
        for mode in (Mode.FP32, Mode.NF4)
    ]
    cases.append(measured(ROCKET, sample="a rocket", prompt="Once upon"))
    (prompt,) = build_view(cases, REGISTRY).prompts
    assert prompt.prompt == "Once upon"
    assert [family.family for family in prompt.families] == ["rocket", "llama"]
    (voice,) = prompt.families[1].voices
    assert (voice.text, voice.modes) == ("a time", ("fp32", "nf4"))
    assert [name for name, _ in voice.models] == ["anvil-1b"]


def test_a_sample_without_its_prompt_and_one_of_other_weights_stay_apart() -> None:
    cases = [
        measured(ANVIL, sample="rendered", template="x"),
        measured(ANVIL, Weights.HUB, sample="a time", prompt="Once upon"),
        measured(ROCKET, sample="a time", prompt="Once upon"),
    ]
    prompts = build_view(cases, REGISTRY).prompts
    assert [prompt.weights for prompt in prompts] == [Weights.HUB, Weights.TWIN]


def test_a_grade_is_shown_with_its_figures() -> None:
    case = measured(ANVIL, Weights.HUB, quality="Good", bits_per_byte=1.25, prompt="Once")
    (quality,) = build_view([case], REGISTRY).quality
    assert (quality.model, quality.grade) == ("anvil-1b", "Good")
    assert quality.figures == (("bits per byte", "1.25"),)


def test_what_differs_between_environments_is_marked() -> None:
    newer = environment_record("r2").model_copy(
        update={"id": "e2", "packages": {"torch": "2.14.0", "transformers": "5.23.0"}}
    )
    target = target_of(ANVIL, Mode.FP32)
    view = build_view([*run_records([target]), newer, *passing(target)], REGISTRY)
    facts = {row.name: row for row in view.differences}
    assert (facts["torch"].values, facts["torch"].differs) == (("2.13.0+cpu", "2.14.0"), True)
    assert not facts["transformers"].differs
    assert facts["bitsandbytes"].values == ("0.50.2", "—")


def test_the_download_holds_every_case_and_is_the_same_for_the_same_results() -> None:
    cases = passing(target_of(ANVIL, Mode.FP32))
    first, again = (build_view(some, REGISTRY).download for some in (cases, cases[::-1]))
    assert first == again
    columns = json.loads(gzip.decompress(first))["cases"]
    assert sorted(columns["execution"]) == sorted(case.execution for case in cases)
    assert {len(column) for column in columns.values()} == {len(cases)}
