from __future__ import annotations

import json
from pathlib import Path

import pytest

from compat.report import build_view, render_html
from compat.report.sick_file import FILE, sick_beside
from tests.unit.report.records import HOSTILE, registry_of

FAULT = {
    "check": "causal",
    "fault": "mask off by one",
    "model": "gpt2-twin-fp32",
    "caught": True,
    "says": "token 3 changes logit 2",
}


def write(folder: Path, *faults: dict[str, object]) -> None:
    (folder / FILE).write_text(json.dumps({"schema": 1, "faults": faults}))


def test_without_a_file_the_appendix_says_how_to_make_one(tmp_path: Path) -> None:
    view, problems = sick_beside(tmp_path)
    assert problems == ()
    page = render_html(build_view([], registry_of(), sick=view))
    assert "make faults, in the suite" in page
    assert "Faults by check" not in page


def test_a_damaged_model_counts_once_by_hand_and_not_where_there_is_nothing_to_try(
    tmp_path: Path,
) -> None:
    twice = FAULT | {"by_hand": True, "spared": ["loads", "blocks_found"]}
    missed = FAULT | {"fault": "no mask", "by_hand": False, "alarms": ["loads"]}
    config = FAULT | {"fault": "false facts", "by_hand": None}
    write(tmp_path, twice, twice | {"check": "recites"}, missed, config)
    view, _ = sick_beside(tmp_path)
    assert view is not None
    assert "4 of 4 faults" in view.sentence
    assert "green 4 did and 1 faults showed" in view.sentence
    assert "catch 1 of the 2 models that they can try" in view.sentence


def test_the_appendix_says_what_was_caught_and_what_would_have_been_by_hand(tmp_path: Path) -> None:
    write(tmp_path, FAULT | {"by_hand": False}, FAULT | {"fault": "no mask", "by_hand": True})
    view, problems = sick_beside(tmp_path)
    assert view is not None
    assert problems == ()
    assert view.sentence.startswith("2 of 2 faults are caught")
    assert "catch 1 of the 2 models" in view.sentence
    page = render_html(build_view([], registry_of(), sick=view))
    assert "mask off by one" in page
    assert "token 3 changes logit 2" in page


@pytest.mark.parametrize("content", ["torn", "{}", '{"schema": 2, "faults": []}', "\x00"])
def test_what_is_no_such_table_is_a_problem_and_loses_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    view, (problem,) = sick_beside(tmp_path)
    assert view is None
    assert "no table of sick models" in str(problem)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_fault_says_stays_text(tmp_path: Path, text: str) -> None:
    write(tmp_path, FAULT | {"fault": text, "says": text})
    view, _ = sick_beside(tmp_path)
    page = render_html(build_view([], registry_of(), sick=view))
    assert "<img" not in page
    assert "\u202e" not in page
