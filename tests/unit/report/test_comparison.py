"""What changed since a baseline, as text, Markdown, HTML and JSON."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from compat.outcomes import Outcome
from compat.report import write_report
from compat.report.comparison import ComparisonView, comparison_view
from compat.report.comparison_html import comparison_html
from compat.report.comparison_json import comparison_json
from compat.report.comparison_markdown import SHOWN, comparison_markdown
from compat.report.comparison_text import comparison_text
from compat.results.compare import ChangeKind, Comparison, compare
from compat.results.record import CaseRecord, FailureRecord, Record, dump_record
from compat.targets import Mode
from tests.unit.report.records import (
    CHECKS,
    HOSTILE,
    case_record,
    environment_record,
    model_spec,
    passing,
    registry_of,
    run_records,
    target_of,
)

SPEC = model_spec("acme/anvil-1b")
OTHER = model_spec("acme/rocket-7b")
TARGETS = [target_of(spec, mode) for spec in (SPEC, OTHER) for mode in (Mode.FP32, Mode.NF4)]
LATER = {"run": "r2", "started": "2026-11-21T10:00:00Z", "environment": "e2"}
NEWER = environment_record("r2").model_copy(
    update={"id": "e2", "packages": {"torch": "2.14.0", "transformers": "5.23.0"}}
)


def failing(message: str, number: int = 0) -> list[CaseRecord]:
    """One check fails on all targets, with a figure of each target's own in the message."""
    return [
        case_record(
            target,
            CHECKS[number],
            Outcome.FAILED,
            failure=FailureRecord(type="ValueError", message=f"{message} {position}.5"),
            **LATER,
        )
        for position, target in enumerate(TARGETS)
    ]


def compared(new: list[CaseRecord]) -> Comparison:
    old: list[Record] = [environment_record()]
    old += [case for target in TARGETS for case in passing(target)]
    return compare(old, [NEWER, *new])


def view_of(new: list[CaseRecord]) -> ComparisonView:
    return comparison_view(compared(new))


def text_of(view: ComparisonView) -> str:
    return "\n".join(line.plain for line in comparison_text(view))


def test_the_same_fault_in_all_models_is_one_change_with_all_places() -> None:
    (kind,) = view_of(failing("off by")).kinds
    assert kind.kind is ChangeKind.REGRESSED
    (change,) = kind.changes
    assert change.cases == len(TARGETS)
    assert change.checks == (CHECKS[0].name,)
    assert change.places == (
        "acme/anvil-1b twin cpu: fp32, nf4",
        "acme/rocket-7b twin cpu: fp32, nf4",
    )
    assert "torch 2.13.0+cpu → 2.14.0" in change.moved


def test_other_faults_stay_apart() -> None:
    (kind,) = view_of([*failing("off by"), *failing("no such head", 1)]).kinds
    assert {change.why for change in kind.changes} == {
        "ValueError: off by 0.5",
        "ValueError: no such head 0.5",
    }


def test_all_that_is_new_and_passes_is_one_change() -> None:
    (kind,) = comparison_view(compare([], passing(TARGETS[0]))).kinds
    (change,) = kind.changes
    assert kind.kind is ChangeKind.NEW
    assert (change.cases, len(change.checks), change.reproduce) == (len(CHECKS), len(CHECKS), "")


def test_every_form_says_what_regressed_where_why_and_what_moved() -> None:
    comparison = compared(failing("off by"))
    view = comparison_view(comparison)
    for form in (
        text_of(view),
        comparison_markdown(view).replace("\\", ""),
        comparison_html(view),
        comparison_json(comparison),
    ):
        for part in ("regressed", CHECKS[0].name, "acme/anvil-1b", "off by 0.5", "2.14.0"):
            assert part in form


def test_the_sentence_counts_cases() -> None:
    sentence = view_of(failing("off by")).sentence
    assert sentence.startswith("4 regressed")
    assert "4 cases compared" in sentence
    assert "not run this time" in sentence


def test_without_a_change_every_form_says_so() -> None:
    same = compare(passing(TARGETS[0]), passing(TARGETS[0], run="r2"))
    view = comparison_view(same)
    for form in (text_of(view), comparison_markdown(view), comparison_html(view)):
        assert "nothing changed" in form
    assert json.loads(comparison_json(same))["changes"] == []


def test_json_leaves_no_case_out_and_names_the_records() -> None:
    said = json.loads(comparison_json(compared(failing("off by"))))
    assert said["fails"] is True
    assert [change["case"] for change in said["changes"]] == [
        f"{target.id}/{CHECKS[0].name}" for target in TARGETS
    ]
    assert all(change["new"]["execution"] for change in said["changes"])


def test_markdown_of_very_many_changes_fits_a_comment() -> None:
    many = [
        case_record(
            target_of(model_spec(f"acme/model-{number}"), Mode.FP32),
            CHECKS[number % len(CHECKS)],
            Outcome.FAILED,
            failure=FailureRecord(type="ValueError", message="x" * 5000 + chr(97 + number % 26)),
            **LATER,
        )
        for number in range(400)
    ]
    page = comparison_markdown(comparison_view(compare([], many)))
    assert len(page) < 65_536
    assert f"And {len(comparison_view(compare([], many)).kinds[0].changes) - SHOWN} more." in page


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_an_exception_says_stays_text(text: str) -> None:
    view = view_of(failing(text))
    tags = Tags()
    tags.feed(comparison_html(view))
    assert not tags.seen & {"script", "img"}
    tags = Tags()
    tags.feed(MarkdownIt("gfm-like", {"linkify": False}).render(comparison_markdown(view)))
    assert not tags.seen & {"script", "img", "code"}
    assert "\x1b" not in text_of(view)
    (row,) = [line for line in comparison_markdown(view).splitlines() if "anvil" in line]
    assert len(row.replace("\\|", "").split("|")) == 7


def test_the_report_knows_what_changed_since_its_baseline(tmp_path: Path) -> None:
    baseline, now = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    old = [*run_records(TARGETS), *(case for target in TARGETS for case in passing(target))]
    baseline.write_text("".join(dump_record(record) + "\n" for record in old))
    now.write_text("".join(dump_record(record) + "\n" for record in failing("off by")))
    registry = registry_of(SPEC, OTHER)
    files = write_report(now, registry, tmp_path / "out", checks=CHECKS, baseline=baseline)
    assert files.changes is not None
    assert files.changes.targets == {target.id for target in TARGETS}
    assert files.changes.fails
    assert write_report(now, registry, tmp_path / "out", checks=CHECKS).changes is None


def test_what_registry_or_catalogue_no_longer_have_is_removed(tmp_path: Path) -> None:
    baseline, now = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    old = [case for target in TARGETS for case in passing(target)]
    baseline.write_text("".join(dump_record(record) + "\n" for record in old))
    now.write_text(dump_record(passing(TARGETS[0], run="r2")[0]) + "\n")
    fewer = CHECKS[:-1]
    files = write_report(now, registry_of(SPEC), tmp_path / "out", checks=fewer, baseline=baseline)
    assert files.changes is not None
    (kind,) = files.changes.kinds
    gone = {
        (check, place)
        for change in kind.changes
        for check in change.checks
        for place in change.places
    }
    assert kind.kind is ChangeKind.REMOVED
    assert (CHECKS[-1].name, "acme/anvil-1b twin cpu: fp32, nf4") in gone
    assert (CHECKS[0].name, "acme/rocket-7b twin cpu: fp32, nf4") in gone
    assert (CHECKS[0].name, "acme/anvil-1b twin cpu: fp32, nf4") not in gone
