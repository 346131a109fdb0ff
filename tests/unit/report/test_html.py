from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import parse_qs

import pytest

from compat.outcomes import Blame, Outcome, ReasonCode
from compat.report import build_view, render_html
from compat.results.read import Problem
from compat.results.record import (
    CaseRecord,
    ExpectationRecord,
    FailureRecord,
    ReasonRecord,
    Record,
)
from compat.targets import CPU_MODES, Device, Mode, Target, Weights
from tests.unit.report.records import (
    CHECKS,
    HOSTILE,
    FakeCheck,
    case_record,
    model_spec,
    passing,
    reason_record,
    registry_of,
    run_records,
    target_of,
    varied_records,
)

REGISTRY = registry_of(*(model_spec(f"acme/m{number}") for number in range(6)))
FP32 = target_of(REGISTRY.models[0], Mode.FP32)
PAGE = render_html(build_view(varied_records(REGISTRY), REGISTRY, checks=CHECKS))
VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """The elements of a page, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        # HTML lets these two be closed by their parents; this page closes everything.
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, attribute: str) -> Iterator[str]:
        for _, attributes in self.elements:
            if value := attributes.get(attribute):
                yield value


def hostile_records(text: str) -> list[Record]:
    """A run that carries `text` wherever a record has room for it."""
    target = Target(f"evil/{text[:60]}", "evil", Weights.LOCAL, Device.CPU, Mode.FP32)
    check = FakeCheck(text[:40].replace("/", ":"), text, text)
    failure = FailureRecord(type=text, message=text, trace=text)
    row = ExpectationRecord(blame=Blame.MODEL, reason=text, issue=text, line=3)
    reason = ReasonRecord(
        reason_class=ReasonCode.GATED.reason_class, code=ReasonCode.GATED, text=text, action=text
    )
    run = run_records([target])
    run[0] = run[0].model_copy(update={"command": (text,), "selection": text, "suite": text})
    run[1] = run[1].model_copy(update={"cpu": text, "packages": {text: text}})
    untrusted = {"sample": text, "reproduce": text, "revision": text, "measures": {text: text}}
    return [
        *run,
        case_record(target, check, Outcome.FAILED, failure=failure, **untrusted),
        case_record(target, CHECKS[1], Outcome.KNOWN_FAILURE, expectation=row, failure=failure),
        case_record(target, CHECKS[2], Outcome.SKIPPED, reason=reason),
    ]


def hostile_page(text: str) -> str:
    checks = (*CHECKS, FakeCheck("x", text, text))
    problems = [Problem(text, 1, text)]
    records = hostile_records(text)
    return render_html(build_view(records, REGISTRY, checks=checks, problems=problems))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_brings_no_element_and_no_attribute(text: str) -> None:
    def shape(page: Page) -> set[tuple[str, tuple[str, ...]]]:
        return {(tag, tuple(sorted(attributes))) for tag, attributes in page.elements}

    assert shape(Page(hostile_page(text))) == shape(Page(hostile_page("harmless")))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_control_or_direction_character_reaches_the_page(text: str) -> None:
    page = hostile_page(text)
    assert not {one for one in page if ord(one) < 32} - {"\n"}
    assert "\u202e" not in page


def test_hostile_text_is_still_there_to_be_read() -> None:
    assert "&lt;script&gt;alert(&#39;boom&#39;)&lt;/script&gt;" in hostile_page(HOSTILE[0])


def test_a_template_in_model_output_is_text() -> None:
    assert "{{ 7 * 7 }}" in hostile_page("{{ 7 * 7 }}")


def test_an_address_that_is_no_web_address_is_no_link() -> None:
    page = Page(hostile_page("javascript:alert(1)"))
    assert not [link for link in page.values("href") if link.startswith("javascript")]


def test_the_page_asks_for_nothing() -> None:
    page = Page(PAGE)
    assert not list(page.values("src"))
    assert not [tag for tag, _ in page.elements if tag in ("link", "img", "iframe", "object")]
    assert "@import" not in PAGE
    assert "url(" not in PAGE


def test_only_our_own_script_and_style_may_run() -> None:
    (policy,) = [
        attributes["content"]
        for _, attributes in Page(PAGE).elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert not [
        name for _, attributes in Page(PAGE).elements for name in attributes if name[:2] == "on"
    ]


def test_every_link_inside_the_page_has_a_place_to_go() -> None:
    page = Page(PAGE)
    ids = list(page.values("id"))
    assert len(ids) == len(set(ids))
    links = [link[1:] for link in page.values("href") if link[0] == "#"]
    places = {parse_qs(link)["at"][0] if "=" in link else link for link in links}
    assert places <= set(ids)


def test_only_what_a_script_serves_is_hidden_without_one() -> None:
    hidden = [attributes["id"] for _, attributes in Page(PAGE).elements if "hidden" in attributes]
    assert hidden == ["theme", "filter", "none", "plain"]


def test_the_page_nests() -> None:
    assert Page(PAGE).open == []


def test_a_verdict_is_never_a_glyph_alone() -> None:
    for word in ("works", "partial", "broken"):
        assert f'href="#g-{word}"/></svg><b>{word}</b>' in PAGE


def test_evidence_of_a_twin_is_marked_in_its_cell() -> None:
    page = render_html(build_view(passing(FP32), REGISTRY))
    assert '<b>works</b><i class="tag">twin</i>' in page


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_is_shown_with_its_action(code: ReasonCode) -> None:
    skip = case_record(
        FP32,
        outcome=Outcome.SKIPPED,
        reason=reason_record(code, f"text of {code}", f"action for {code}"),
    )
    page = render_html(build_view([skip], REGISTRY))
    assert f"text of {code}" in page
    assert f"action for {code}" in page


def test_the_page_of_no_records_says_so() -> None:
    assert "no records yet" in render_html(build_view([], REGISTRY))
    assert "no records yet" in render_html(build_view([], registry_of()))


def test_an_incomplete_run_says_so_at_the_top() -> None:
    records = [*run_records([FP32]), *passing(FP32)[:5]]
    page = render_html(build_view(records, REGISTRY))
    head = page[: page.index("<main")]
    assert "incomplete</strong>" in head
    assert f"{len(CHECKS) - 5} of {len(CHECKS)} planned cases" in head


def test_twelve_thousand_cases_stay_small() -> None:
    registry = registry_of(*(model_spec(f"acme/model-{number}") for number in range(58)))
    records = varied_records(registry)
    assert sum(isinstance(record, CaseRecord) for record in records) > 12_000
    assert len(CPU_MODES) * len(registry.models) > 340
    page = render_html(build_view(records, registry, checks=CHECKS))
    assert len(page.encode()) < 3_000_000
