from __future__ import annotations

import pytest

from compat.outcomes import Blame, Outcome, ReasonClass, ReasonCode, Stage
from compat.results.record import CaseRecord, ExpectationRecord
from compat.results.verdict import Verdict, Word, judge, judge_model, leading
from compat.targets import Mode, Weights
from tests.unit.report.records import (
    CHECKS,
    FakeCheck,
    case_record,
    model_spec,
    passing,
    reason_record,
    target_of,
)

SPEC = model_spec("acme/anvil-1b")
TARGET = target_of(SPEC, Mode.FP32)
ALL = tuple(check.name for check in CHECKS)
CORE = ("loading", "forward", "generation", "hooks")
BESIDE = ("anatomy", "tokenizer", "precision")


def first_of(area: str) -> FakeCheck:
    return next(check for check in CHECKS if check.area == area)


def judged(*changed: CaseRecord, expected: tuple[str, ...] = ALL) -> Verdict:
    """Everything passes, but for the cases given."""
    cases = {case.check: case for case in (*passing(TARGET), *changed)}
    return judge(TARGET.id, cases, expected)


def skip(check: FakeCheck, code: ReasonCode) -> CaseRecord:
    reason = reason_record(code)
    return case_record(TARGET, check, Outcome.SKIPPED, stage=Stage.REQUIREMENTS, reason=reason)


def known(check: FakeCheck, blame: Blame, stage: Stage = Stage.CHECK) -> CaseRecord:
    expectation = ExpectationRecord(blame=blame, reason="a reason", line=7)
    return case_record(TARGET, check, Outcome.KNOWN_FAILURE, stage=stage, expectation=expectation)


def test_works_when_everything_ran_and_passed() -> None:
    verdict = judged()
    assert verdict.word is Word.WORKS
    assert (verdict.passed, verdict.applicable) == (len(ALL), len(ALL))


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT])
@pytest.mark.parametrize("area", CORE)
def test_broken_when_the_core_fails(area: str, outcome: Outcome) -> None:
    bad = case_record(TARGET, first_of(area), outcome)
    verdict = judged(bad)
    assert verdict.word is Word.BROKEN
    assert verdict.deciding == (bad.case,)
    assert bad.check in verdict.why


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CRASHED, Outcome.TIMEOUT])
@pytest.mark.parametrize("area", BESIDE)
def test_partial_when_anything_else_fails(area: str, outcome: Outcome) -> None:
    assert judged(case_record(TARGET, first_of(area), outcome)).word is Word.PARTIAL


def test_broken_when_loading_fails_whatever_check_asked_for_it() -> None:
    bad = case_record(TARGET, first_of("anatomy"), Outcome.FAILED, stage=Stage.LOAD)
    assert judged(bad).word is Word.BROKEN


@pytest.mark.parametrize("area", [*CORE, *BESIDE])
@pytest.mark.parametrize("blame", [Blame.MODEL, Blame.UPSTREAM])
def test_partial_for_a_known_failure_of_the_model_or_upstream(area: str, blame: Blame) -> None:
    verdict = judged(known(first_of(area), blame))
    assert verdict.word is Word.PARTIAL
    assert blame in verdict.why


def test_broken_when_it_is_known_that_loading_fails() -> None:
    assert judged(known(first_of("anatomy"), Blame.UPSTREAM, Stage.LOAD)).word is Word.BROKEN


@pytest.mark.parametrize("blame", [Blame.SUITE, Blame.WRAPPER])
def test_a_known_failure_of_others_is_neither_a_fault_nor_a_pass(blame: Blame) -> None:
    assert judged(known(first_of("forward"), blame)).word is Word.NOT_TESTED


def test_an_error_of_the_suite_is_never_the_models_fault() -> None:
    verdict = judged(case_record(TARGET, first_of("forward"), Outcome.ERROR))
    assert verdict.word is Word.NOT_TESTED
    assert "error of the suite" in verdict.why


def test_a_row_that_has_to_go_is_a_pass_of_the_model() -> None:
    assert judged(case_record(TARGET, first_of("forward"), Outcome.FIXED)).word is Word.WORKS


def test_what_does_not_apply_is_not_counted() -> None:
    verdict = judged(skip(first_of("tokenizer"), ReasonCode.NOT_APPLICABLE))
    assert verdict.word is Word.WORKS
    assert verdict.applicable == len(ALL) - 1


MACHINE = [code for code in ReasonCode if code.reason_class is not ReasonClass.APPLICABILITY]


@pytest.mark.parametrize("code", [code for code in MACHINE if code is not ReasonCode.NO_TWIN])
def test_blocked_here_when_there_are_only_facts_about_this_machine(code: ReasonCode) -> None:
    cases = {check.name: skip(check, code) for check in CHECKS}
    verdict = judge(TARGET.id, cases, ALL)
    assert verdict.word is Word.BLOCKED
    assert f"{code} here" in verdict.why


def test_a_twin_that_nobody_can_make_blocks_nothing_here() -> None:
    cases = {check.name: skip(check, ReasonCode.NO_TWIN) for check in CHECKS}
    verdict = judge(TARGET.id, cases, ALL)
    assert verdict.word is Word.NOT_TESTED
    assert "no-twin here" in verdict.why


@pytest.mark.parametrize("code", MACHINE)
def test_not_tested_when_a_single_check_is_blocked(code: ReasonCode) -> None:
    assert judged(skip(first_of("forward"), code)).word is Word.NOT_TESTED


def test_what_a_selection_left_out_counts_as_not_tested() -> None:
    (case,) = [case for case in passing(TARGET) if case.check == "recites"]
    verdict = judge(TARGET.id, {case.check: case}, ALL)
    assert verdict.word is Word.NOT_TESTED
    assert "did not run" in verdict.why
    assert judge(TARGET.id, {case.check: case}, ["recites"]).word is Word.WORKS


def test_a_failure_counts_even_where_the_rest_did_not_run() -> None:
    bad = case_record(TARGET, first_of("forward"), Outcome.FAILED)
    assert judge(TARGET.id, {bad.check: bad}, ALL).word is Word.BROKEN


def test_not_tested_without_any_case() -> None:
    assert judge(TARGET.id, {}, ALL).word is Word.NOT_TESTED
    assert judge(TARGET.id, {}, ()).word is Word.NOT_TESTED


def test_not_tested_where_nothing_applies() -> None:
    cases = {check.name: skip(check, ReasonCode.NOT_APPLICABLE) for check in CHECKS}
    assert judge(TARGET.id, cases, ALL).word is Word.NOT_TESTED


def test_evidence_of_a_twin_is_marked_and_that_of_a_checkpoint_is_not() -> None:
    hub = target_of(SPEC, Mode.FP32, Weights.HUB)
    assert judged().label == "works (twin)"
    assert judge(hub.id, {case.check: case for case in passing(hub)}, ALL).label == "works"


def verdict(word: Word, weights: Weights = Weights.TWIN) -> Verdict:
    return Verdict(target_of(SPEC, Mode.FP32, weights).id, word, "", (), 0, 0)


def test_the_strongest_evidence_leads() -> None:
    twin, hub = verdict(Word.WORKS), verdict(Word.BROKEN, Weights.HUB)
    assert leading([twin, hub]) is hub


@pytest.mark.parametrize("word", [Word.BLOCKED, Word.NOT_TESTED])
def test_a_checkpoint_that_was_not_tested_is_no_evidence(word: Word) -> None:
    twin, hub = verdict(Word.WORKS), verdict(word, Weights.HUB)
    assert leading([hub, twin]) is twin


def test_nothing_leads_nothing() -> None:
    assert leading([]) is None


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ([Word.WORKS, Word.WORKS], Word.WORKS),
        ([Word.WORKS, Word.BLOCKED], Word.WORKS),
        ([Word.WORKS, Word.BROKEN], Word.PARTIAL),
        ([Word.WORKS, Word.PARTIAL], Word.PARTIAL),
        ([Word.BROKEN, Word.BROKEN], Word.BROKEN),
        ([Word.BROKEN, Word.NOT_TESTED], Word.BROKEN),
        ([Word.BLOCKED, Word.NOT_TESTED], Word.BLOCKED),
        ([Word.NOT_TESTED], Word.NOT_TESTED),
        ([], Word.NOT_TESTED),
    ],
)
def test_a_model_comes_to_what_its_tested_modes_come_to(words: list[Word], model: Word) -> None:
    assert judge_model([verdict(word) for word in words]) is model


def test_what_does_not_load_is_told_once_and_not_by_every_check() -> None:
    cases = [known(check, Blame.UPSTREAM, Stage.LOAD) for check in CHECKS]
    assert judged(*cases).why == (
        f"It does not load: a known failure of upstream; 0 of {len(CHECKS)} checks passed."
    )


def test_known_failures_are_told_in_a_sentence() -> None:
    first, second = sorted(CHECKS[3:5], key=lambda check: check.name)
    one = judged(known(first, Blame.MODEL)).why
    both = judged(known(first, Blame.MODEL), known(second, Blame.MODEL)).why
    assert one.startswith(f"{first.name} is a known failure of model;")
    assert both.startswith(f"{first.name}, {second.name} are each a known failure of model;")


def test_what_never_ran_is_said_without_a_list_of_names() -> None:
    verdict = judge(TARGET.id, {}, ALL)
    assert (verdict.word, verdict.why) == (Word.NOT_TESTED, "None of its checks has run.")
