"""Whatever the page says is marked with where it is from: a record, the registry, the catalogue.

What is left, headings and explanations, is marked as the suite's own words, and none of the data
may be among it.
"""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from compat.outcomes import Blame, Outcome, ReasonCode
from compat.report import build_view, render_html
from compat.results.record import ExpectationRecord, FailureRecord, ReasonRecord, Record
from compat.targets import Mode
from tests.unit.report.records import (
    CHECKS,
    FakeCheck,
    case_record,
    model_spec,
    registry_of,
    run_records,
    target_of,
)

RECORD, REGISTRY, CATALOGUE = "from-a-record", "from-the-registry", "from-the-catalogue"
SPEC = model_spec(
    "acme/anvil-1b",
    family=f"{REGISTRY}-family",
    architecture=f"{REGISTRY}Model",
    blocks={"count": 4, "class": f"{REGISTRY}Block", "path": f"{REGISTRY}.layers"},
    checkpoint={"dtype": "bfloat16", "gb": 2.47, "license": f"{REGISTRY}-1.0"},
    evidence={"confidence": "verified", "notes": [f"a note {REGISTRY}"]},
)
CHECK = FakeCheck("recites", "forward", f"What it asserts, {CATALOGUE}.")
VOID = {"meta", "br", "img", "input", "link", "hr"}


def told_records() -> list[Record]:
    fp32, nf4, int8 = (target_of(SPEC, mode) for mode in (Mode.FP32, Mode.NF4, Mode.INT8))
    failure = FailureRecord(type="RuntimeError", message=RECORD, trace=RECORD)
    row = ExpectationRecord(blame=Blame.MODEL, reason=RECORD, issue=RECORD, line=3)
    reason = ReasonRecord(
        reason_class=ReasonCode.GATED.reason_class,
        code=ReasonCode.GATED,
        text=RECORD,
        action=RECORD,
    )
    told = {"sample": RECORD, "measures": {"prompt": RECORD, "final_norm": RECORD, RECORD: RECORD}}
    run = run_records([fp32, nf4, int8])
    run[0] = run[0].model_copy(update={"command": (RECORD,), "selection": RECORD})
    run[1] = run[1].model_copy(update={"cpu": RECORD, "packages": {RECORD: RECORD}})
    return [
        *run,
        case_record(fp32, CHECKS[0], Outcome.FAILED, failure=failure, **told),
        case_record(nf4, CHECKS[1], Outcome.KNOWN_FAILURE, expectation=row, failure=failure),
        case_record(int8, CHECKS[2], Outcome.SKIPPED, reason=reason),
    ]


class Told(HTMLParser):
    """Every text of the page with the mark of what is nearest around it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.marks: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page[page.index("<body>") : page.index('<script type="module">')])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            around = self.marks[-1] if self.marks else ""
            self.marks.append(dict(attrs).get("data-from") or around)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        self.marks.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and self.marks:
            self.texts.append((self.marks[-1], data))


PAGE = render_html(build_view(told_records(), registry_of(SPEC), checks=(*CHECKS, CHECK)))
TEXTS = Told(PAGE).texts


@pytest.mark.parametrize(
    ("told", "mark"), [(RECORD, "record"), (REGISTRY, "registry"), (CATALOGUE, "catalogue")]
)
def test_what_is_told_is_marked_with_where_it_is_from(told: str, mark: str) -> None:
    places = [(marked, text) for marked, text in TEXTS if told in text]
    assert places
    wrong = [(marked, text) for marked, text in places if marked != mark]
    # a family, a class and a mode are also what one filters by
    assert {marked for marked, _ in wrong} <= ({"suite"} if mark == "registry" else set())
    assert {text for _, text in wrong} <= {SPEC.family}


def test_nothing_is_said_without_a_mark() -> None:
    unmarked = {text.strip() for mark, text in TEXTS if not mark}
    assert unmarked <= {"Skip to the matrix", "Close"}


def test_a_fact_of_the_registry_names_its_line_and_an_end_its_record() -> None:
    sources = [text for _, text in TEXTS if text.startswith(("registry ", "record "))]
    assert any(text.startswith("registry models.yaml:") for text in sources)
    assert "record r1-main-0-anvil-1b-twin-cpu-fp32-no_missing_keys" in sources
