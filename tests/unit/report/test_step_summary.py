"""What GitHub shows on the page of a workflow's run."""

from __future__ import annotations

from pathlib import Path

from markdown_it import MarkdownIt

from compat.outcomes import Outcome, ReasonCode, Stage
from compat.report import append_step_summary, build_view
from compat.report.comparison import comparison_view
from compat.report.step_summary import VARIABLE, step_summary
from compat.results.compare import compare
from compat.results.record import FailureRecord
from compat.targets import Mode
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
FP32, NF4 = target_of(SPEC, Mode.FP32), target_of(SPEC, Mode.NF4)


def failing(message: str) -> list[object]:
    failure = FailureRecord(type="ValueError", message=message)
    bad = case_record(FP32, CHECKS[0], Outcome.FAILED, failure=failure)
    return [*run_records([FP32]), *passing(FP32)[1:], bad]


def test_it_counts_and_names_what_failed() -> None:
    text = step_summary(build_view(failing("off by one"), REGISTRY, checks=CHECKS))  # type: ignore[arg-type]
    assert "**Models (twin):** 1 broken" in text
    assert "ValueError: off by one" in text
    assert "anvil-1b" in text


def test_it_says_what_is_missing_and_what_was_skipped_with_what_to_do() -> None:
    skip = case_record(
        FP32,
        outcome=Outcome.SKIPPED,
        stage=Stage.REQUIREMENTS,
        reason=reason_record(ReasonCode.NO_GPU),
    )
    text = step_summary(build_view([*run_records([FP32, NF4]), skip], REGISTRY))
    assert "Incomplete" in text
    assert "nf4/bare: none of its checks has a result" in text
    assert "do something about no\\-gpu" in text.replace("no-gpu", "no\\-gpu")


def test_it_says_what_changed_since_the_baseline() -> None:
    view = build_view(failing("off by one"), REGISTRY, checks=CHECKS)  # type: ignore[arg-type]
    changes = comparison_view(compare(passing(FP32, run="r0"), failing("off by one")))  # type: ignore[arg-type]
    assert "regressed" in step_summary(view, changes)


def test_hostile_text_stays_text() -> None:
    for message in HOSTILE:
        text = step_summary(build_view(failing(message), REGISTRY))  # type: ignore[arg-type]
        html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
        assert "<script" not in html
        assert "<img" not in html


def test_it_is_added_to_the_file_that_github_names_and_to_none_else(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("earlier steps\n")
    assert append_step_summary("ours", {VARIABLE: str(file)}) == file
    assert file.read_text() == "earlier steps\nours\n"
    assert append_step_summary("ours", {}) is None
