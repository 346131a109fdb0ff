"""Pairs in the report: a table of their own, never a row among the models."""

from __future__ import annotations

import pytest

from compat.outcomes import Outcome
from compat.registry.pair import PairSpec
from compat.registry.spec import PairRow
from compat.report import ReportView, build_view, render_html, render_markdown
from compat.report.view import PairView
from compat.results.record import CaseRecord, FailureRecord
from compat.results.verdict import Word
from compat.targets import CPU_MODES, Device, Kind, Mode, Target, Weights
from tests.unit.report.records import (
    CHECKS,
    HOSTILE,
    FakeCheck,
    case_record,
    model_spec,
    registry_of,
    run_records,
)

ANVIL = model_spec("acme/anvil-1b")
ROCKET = model_spec(
    "acme/rocket-7b",
    widths={"hidden": 4096, "vocabulary": 32768, "heads": 32, "key_value_heads": 8, "head": 128},
)
PAIR = PairSpec(ANVIL, ROCKET)
REGISTRY = registry_of(ANVIL, ROCKET).model_copy(
    update={"pairs": (PairRow(source=ANVIL.id, target=ROCKET.id),)}
)
PARTS = FakeCheck("pair_has_its_parts", "pairs", "All is there.", kind=Kind.PAIR)
LEARNS = FakeCheck("adapter_learns", "pairs", "It learns.", kind=Kind.PAIR)
CATALOGUE = (*CHECKS, PARTS, LEARNS)
FOUND = {
    "source_special_tokens": "bos <s>, eos </s>, pad none",
    "source_chat_template": True,
    "receiver_special_tokens": "bos none, eos <end>, pad <end>",
    "receiver_chat_template": False,
}
LOSSES = {"loss_before_nats": 7.894, "loss_after_nats": 5.8647}


def target_of_pair(mode: Mode = Mode.FP32, model: str = PAIR.id) -> Target:
    return Target(model, PAIR.slug, Weights.TWIN, Device.CPU, mode)


def cases_of(target: Target, **changes: object) -> list[CaseRecord]:
    return [
        case_record(target, PARTS, measures=FOUND),
        case_record(target, LEARNS, **{"measures": LOSSES, **changes}),
    ]


def view_of(*modes: Mode, **changes: object) -> ReportView:
    targets = [target_of_pair(mode) for mode in modes]
    records = [*run_records(targets)[:2], *(c for t in targets for c in cases_of(t, **changes))]
    return build_view(records, REGISTRY, checks=CATALOGUE)


def only_pair(view: ReportView) -> PairView:
    (pair,) = view.pairs
    return pair


def test_a_pair_is_no_row_of_the_matrix() -> None:
    view = view_of(*CPU_MODES)
    assert [model.name for model in view.models] == ["anvil-1b", "rocket-7b"]
    models = [tally for tally in view.tallies if tally.title == "Models"]
    assert sum(count.count for tally in models for count in tally.counts) == 2
    assert only_pair(view).row.name == "anvil-1b → rocket-7b"


def test_a_pair_that_was_never_run_is_there_with_what_is_known_of_it() -> None:
    pair = only_pair(build_view([], REGISTRY))
    assert pair.row.word is Word.NOT_TESTED
    assert (pair.source.hidden, pair.target.hidden) == ("2,048", "4,096")
    assert (pair.source.vocabulary, pair.target.vocabulary) == ("128,256", "32,768")
    assert (pair.source.tokens, pair.target.template, pair.learned) == ("", "", "")


def test_a_pair_is_held_against_the_checks_of_pairs_alone() -> None:
    pair = only_pair(view_of(*CPU_MODES))
    assert pair.row.word is Word.WORKS
    assert {cell.score for cell in pair.row.cells} == {"2/2"}
    assert pair.why == "All 2 checks passed."


def test_what_the_loaded_tokenizers_had_is_shown() -> None:
    pair = only_pair(view_of(Mode.FP32))
    assert (pair.source.tokens, pair.source.template) == ("bos <s>, eos </s>, pad none", "yes")
    assert (pair.target.tokens, pair.target.template) == ("bos none, eos <end>, pad <end>", "no")


def test_what_was_learned_is_said_in_nats() -> None:
    pair = only_pair(view_of(Mode.FP32, Mode.NF4))
    assert pair.learned == "adapter_learns: loss from 7.89 to 5.86 nats a token"
    assert pair.row.facts.learned == pair.learned


def test_a_pair_that_fails_in_one_mode_says_in_which_and_why() -> None:
    failure = FailureRecord(type="AssertionError", message="the loss goes up")
    targets = [target_of_pair(Mode.FP32), target_of_pair(Mode.NF4)]
    records = [
        *cases_of(targets[0]),
        *cases_of(targets[1], outcome=Outcome.FAILED, failure=failure),
    ]
    view = build_view(records, REGISTRY, checks=CATALOGUE)
    pair = only_pair(view)
    assert pair.row.word is Word.PARTIAL
    assert pair.why == "adapter_learns failed; 1 of 2 checks passed."
    (found,) = view.failures
    assert [(place.model, place.modes) for place in found.places] == [(pair.row.name, ("nf4",))]


def test_a_pair_of_another_registry_is_shown_with_what_its_records_say() -> None:
    target = target_of_pair(model="other/a->other/b")
    view = build_view(cases_of(target), registry_of(ANVIL), checks=CATALOGUE)
    pair = only_pair(view)
    assert pair.row.name == "a → b"
    assert (pair.source.hidden, pair.source.tokens) == ("", "bos <s>, eos </s>, pad none")


def test_the_markdown_has_a_row_a_pair_in_the_form_of_its_table() -> None:
    page = render_markdown(view_of(*CPU_MODES))
    section = page.partition("## Pairs")[2].partition("\n## ")[0]
    (row,) = (line for line in section.splitlines() if line.startswith("| anvil-1b → rocket-7b"))
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert cells[1:3] == ["2,048 → 4,096", "128,256 → 32,768"]
    assert cells[4] == "yes → no"
    assert cells[5] == "✅ works in fp32, bf16, fp16, int8, nf4, disk-offload"
    assert cells[6].startswith("All 2 checks passed. adapter\\_learns: loss from 7.89 to 5.86")


def test_a_registry_without_pairs_has_no_such_section() -> None:
    view = build_view([], registry_of(ANVIL))
    assert "Pairs" not in render_markdown(view)
    assert 'id="pairs"' not in render_html(view)


def test_the_page_has_the_pair_with_its_cells_and_its_targets() -> None:
    page = render_html(view_of(*CPU_MODES))
    section = page.partition('id="pairs"')[2].partition("</section>")[0]
    assert "anvil-1b → rocket-7b" in section
    assert "bos &lt;s&gt;, eos &lt;/s&gt;, pad none" in section
    assert section.count('<details class="target') == len(CPU_MODES)
    assert 'href="#pairs"' in page


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_and_tokens_of_pairs_stay_text(text: str) -> None:
    target = target_of_pair(model=f"evil/{text[:40]}->evil/{text[:40]}")
    hostile = dict.fromkeys(FOUND, text) | LOSSES
    records = [case_record(target, PARTS, measures=hostile)]
    view = build_view(records, REGISTRY, checks=CATALOGUE)
    page = render_html(view)
    assert "<img" not in page
    assert page.count("<script") == 2
    assert "\x1b" not in page + render_markdown(view)
    assert "\u202e" not in page + render_markdown(view)
