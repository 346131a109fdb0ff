from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from compat.outcomes import Blame, Outcome, ReasonCode, Stage
from compat.report import build_view, render_markdown
from compat.report.markdown_table import escaped
from compat.results.record import ExpectationRecord, FailureRecord
from compat.targets import CPU_MODES, Mode, Weights
from tests.unit.report.records import (
    CHECKS,
    HOSTILE,
    case_record,
    model_spec,
    passing,
    reason_record,
    registry_of,
    run_records,
    target_of,
)

SPEC = model_spec("acme/anvil-1b")
REGISTRY = registry_of(SPEC)
FP32 = target_of(SPEC, Mode.FP32)


def section(page: str, title: str) -> str:
    return page.partition(f"## {title}")[2].partition("\n## ")[0]


def all_passing() -> list[object]:
    targets = [target_of(SPEC, mode) for mode in CPU_MODES]
    return [*run_records(targets), *(case for target in targets for case in passing(target))]


def blocked(code: ReasonCode) -> str:
    cases = [
        case_record(
            FP32, check, Outcome.SKIPPED, stage=Stage.REQUIREMENTS, reason=reason_record(code)
        )
        for check in CHECKS
    ]
    return render_markdown(build_view(cases, REGISTRY))


def test_a_model_that_works_has_its_facts_and_its_modes() -> None:
    page = render_markdown(build_view(all_passing(), REGISTRY))  # type: ignore[arg-type]
    assert (
        "| acme/anvil-1b *(twin)* | 1.24B | 16 | 2048 | LlamaDecoderLayer | "
        "fp32, bf16, fp16, int8, nf4, disk-offload |"
    ) in section(page, "Fully compatible")


def test_the_evidence_of_a_checkpoint_is_not_marked_as_a_twins() -> None:
    hub = target_of(SPEC, Mode.FP32, Weights.HUB)
    page = render_markdown(build_view(passing(hub), REGISTRY))
    assert "| acme/anvil-1b | 1.24B" in page


def test_mixed_evidence_is_marked_mode_by_mode() -> None:
    hub, twin = target_of(SPEC, Mode.FP32, Weights.HUB), target_of(SPEC, Mode.NF4)
    page = render_markdown(build_view([*passing(hub), *passing(twin)], REGISTRY))
    assert "| fp32, nf4 *(twin)* |" in page


def test_a_partial_model_says_in_which_modes_what_fails_and_who_is_to_blame() -> None:
    row = ExpectationRecord(
        blame=Blame.UPSTREAM, reason="experts stay", issue="https://x.org/1849", line=8
    )
    cases = [
        case_record(target_of(SPEC, mode), CHECKS[-2], Outcome.KNOWN_FAILURE, expectation=row)
        for mode in (Mode.INT8, Mode.NF4)
    ]
    page = render_markdown(build_view([*passing(FP32), *cases], REGISTRY))
    partial = section(page, "Partial compatibility")
    assert "| int8, nf4: known failure: footprint\\_as\\_predicted |" in partial
    assert "experts stay. Blame: upstream. [Report](https://x.org/1849). Works in fp32." in partial


def test_a_broken_model_is_not_compatible() -> None:
    failure = FailureRecord(type="RuntimeError", message="boom")
    bad = case_record(FP32, CHECKS[0], Outcome.FAILED, failure=failure)
    page = render_markdown(build_view([bad], REGISTRY))
    assert "RuntimeError: boom." in section(page, "Not compatible\n")


@pytest.mark.parametrize("code", [ReasonCode.DOES_NOT_FIT, ReasonCode.NO_GPU])
def test_too_little_here_is_not_compatible_here(code: ReasonCode) -> None:
    assert f"do something about {code}" in section(blocked(code), "Not compatible here")


@pytest.mark.parametrize(
    ("code", "title"),
    [
        (ReasonCode.GATED, "Not tested (gated access)"),
        (ReasonCode.NO_TOKEN, "Not tested (gated access)"),
        (ReasonCode.INCOMPLETE_DOWNLOAD, "Incomplete (begun, and not finished)"),
        (ReasonCode.NOT_DOWNLOADED, "Not tested (pending)"),
        (ReasonCode.REMOTE_CODE, "Not tested (pending)"),
        (ReasonCode.NO_TWIN, "Not tested (pending)"),
    ],
)
def test_what_nothing_is_known_of_stands_where_its_reason_belongs(
    code: ReasonCode, title: str
) -> None:
    page = blocked(code)
    row = section(page, title)
    assert f"{code} here" in row
    assert f"do something about {code}" in row
    others = page.replace(row, "").partition("## Detailed status")[0]
    assert "acme/anvil-1b" not in others


def test_a_model_that_ran_in_part_is_incomplete() -> None:
    records = [*run_records([FP32]), *passing(FP32)[:3]]
    page = render_markdown(build_view(records, REGISTRY, checks=CHECKS))
    assert "acme/anvil-1b" in section(page, "Incomplete (begun, and not finished)")


def test_what_is_missing_from_the_records_is_named() -> None:
    page = render_markdown(build_view(run_records([FP32]), REGISTRY))
    assert f"{FP32.id}: none of its checks" in section(page, "Missing from the records")
    whole = render_markdown(build_view(all_passing(), REGISTRY))  # type: ignore[arg-type]
    assert "Missing from the records" not in whole


def test_environments_that_disagree_are_named() -> None:
    failure = FailureRecord(type="RuntimeError", message="boom")
    bad = case_record(
        FP32, CHECKS[0], Outcome.FAILED, failure=failure, environment="server", number=1
    )
    page = render_markdown(build_view([*passing(FP32), bad], REGISTRY))
    assert "passed in e1, failed in server" in section(page, "Where environments disagree")


def test_without_records_nothing_is_claimed() -> None:
    page = render_markdown(build_view([], REGISTRY))
    assert "nothing has been tested" in page
    assert "None." in section(page, "Fully compatible")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_untrusted_text_stays_text_in_one_cell(text: str) -> None:
    failure = FailureRecord(type="Error", message=text)
    bad = case_record(FP32, CHECKS[0], Outcome.FAILED, failure=failure)
    page = render_markdown(build_view([bad], REGISTRY))
    html = MarkdownIt("gfm-like", {"linkify": False}).render(page)
    assert "<script" not in html
    assert "<img" not in html
    assert "<code" not in html
    (row,) = [line for line in section(page, "Not compatible\n").splitlines() if "anvil" in line]
    assert len(row.replace("\\|", "").split("|")) == 5


def test_escaping_keeps_a_cell_on_one_line() -> None:
    assert "@org" not in escaped("ask @org/team")
    assert "://" + "x.org" not in escaped("see https://x.org")
    assert "www.x" not in escaped("see www.x.org")
    assert escaped("a | b\n`c` *d*") == "a \\| b \\`c\\` \\*d\\*"
