"""Known failures go and come in the text of a registry, and nothing else moves."""

from __future__ import annotations

import difflib

import pytest

from compat.outcomes import Blame, Outcome
from compat.registry.load import RegistryError, default_registry_path, parse_registry
from compat.registry.pair import entries_of
from compat.registry.rows import all_rows
from compat.registry.spec import KnownFailure, Raises
from compat.registry.write_rows import with_rows, without_rows

REAL = default_registry_path().read_text(encoding="utf-8")

OWN = """\
    known_failures:
      # what the importer does
      - check: recites  # since spring
        mode: nf4
        raises: {type: AssertionError, match: 'off by'}
        blame: upstream
        reason: it rounds
      - check: loads
        outcome: crashed
        blame: model
        reason: it is too deep
"""
SHARED = """
# of every model
known_failures:
  - check: recites
    mode: int8
    raises: {type: ValueError, match: too many}
    blame: suite
    reason: a bound is too tight
"""
NEW = KnownFailure(
    check="forward_repeats",
    mode="bf16",
    raises=Raises(type="AssertionError", match=r"differ by \\d+: 'x'"),
    blame=Blame.UPSTREAM,
    reason="why: it is so",
    issue="https://example.org/1",
)


@pytest.fixture
def text(two_models: str) -> str:
    evidence = "    evidence: {confidence: verified}\n"
    return two_models.replace(evidence, OWN + evidence, 1) + SHARED


def removed(before: str, after: str) -> list[str]:
    """The lines that are gone; fails where any other has come."""
    changes = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    assert not [line for line in changes if line.startswith("+")]
    return [line[2:] for line in changes if line.startswith("- ")]


def line_of(text: str, start: str, number: int = 0) -> int:
    return [n for n, line in enumerate(text.splitlines(), 1) if start in line][number]


def test_a_row_goes_with_its_lines_and_nothing_else(text):
    after = without_rows(text, [line_of(text, "- check: recites")])
    assert removed(text, after) == OWN.splitlines()[2:7]
    assert [row.check for _, row in all_rows(parse_registry(after))] == ["loads", "recites"]


def test_with_its_last_row_the_list_goes_and_its_comment_stays(text):
    lines = [line_of(text, "- check: recites"), line_of(text, "- check: loads")]
    after = without_rows(text, lines)
    kept = "      # what the importer does"
    assert removed(text, after) == [line for line in OWN.splitlines() if line != kept]
    assert "# what the importer does" in after


def test_rows_of_all_models_go_alike(text):
    after = without_rows(text, [line_of(text, "- check: recites", 1)])
    assert removed(text, after) == SHARED.splitlines()[2:]
    assert "# of every model" in after


def test_a_line_without_a_row_is_refused(text):
    with pytest.raises(RegistryError, match=r"models.yaml:3: no known failure begins here"):
        without_rows(text, [3])


def test_a_row_comes_behind_those_that_are_there(text):
    after = with_rows(text, "acme/oak-1b", [NEW])
    assert removed(after, text) == [
        "      - check: forward_repeats",
        "        mode: bf16",
        "        raises: {type: AssertionError, match: 'differ by \\\\d+: ''x'''}",
        "        blame: upstream",
        "        reason: 'why: it is so'",
        "        issue: https://example.org/1",
    ]
    rows = parse_registry(after).by_name["acme/oak-1b"].known_failures
    assert rows[-1].model_copy(update={"line": 0}) == NEW


def test_the_first_row_of_a_model_opens_its_list_before_the_evidence(text):
    after = with_rows(text, "acme/pine-2b", [NEW])
    added = removed(after, text)
    assert added[:2] == ["    known_failures:", "      - check: forward_repeats"]
    assert after.splitlines()[line_of(after, "issue: ") :][0].strip().startswith("evidence")


def test_a_crash_needs_no_exception(text):
    row = KnownFailure(
        check="loads", outcome=Outcome.CRASHED, blame=Blame.MODEL, reason="it is too deep"
    )
    after = with_rows(text, "acme/pine-2b", [row])
    assert removed(after, text)[1:3] == ["      - check: loads", "        outcome: crashed"]


def test_a_model_that_is_not_there_is_refused(text):
    with pytest.raises(RegistryError, match="no model or pair 'acme/elm'"):
        with_rows(text, "acme/elm", [NEW])


PAIR = "acme/oak-1b->acme/pine-2b"


def test_a_pair_on_one_line_is_taken_apart_and_keeps_its_comment(text):
    pairs = "pairs:\n  # first\n  - {source: acme/oak-1b, target: acme/pine-2b}  # why not\n"
    after = with_rows(text + pairs, PAIR, [NEW])
    assert after.startswith(text)
    assert after.removeprefix(text).splitlines()[:6] == [
        "pairs:",
        "  # first",
        "  - source: acme/oak-1b",
        "    target: acme/pine-2b  # why not",
        "    known_failures:",
        "      - check: forward_repeats",
    ]


def test_a_list_on_one_line_is_left_to_a_person(text):
    row = "{check: loads, outcome: crashed, blame: model, reason: deep}"
    listed = f"  - source: acme/oak-1b\n    target: acme/pine-2b\n    known_failures: [{row}]\n"
    whole = text + "pairs:\n" + listed
    with pytest.raises(RegistryError, match="on one line is changed by hand"):
        with_rows(whole, PAIR, [NEW])
    with pytest.raises(RegistryError, match="on one line is changed by hand"):
        without_rows(whole, [line_of(whole, "known_failures: [")])


REAL_ROWS = [(owner, row) for owner, row in all_rows(parse_registry(REAL))]


@pytest.mark.parametrize("row", [row for _, row in REAL_ROWS], ids=lambda row: f"line{row.line}")
def test_any_row_of_the_real_registry_can_go(row):
    after = without_rows(REAL, [row.line])
    assert removed(REAL, after)
    left = [one.model_copy(update={"line": 0}) for _, one in all_rows(parse_registry(after))]
    others = [one for _, one in REAL_ROWS if one.line != row.line]
    assert left == [one.model_copy(update={"line": 0}) for one in others]


@pytest.mark.parametrize(
    "entry", entries_of(parse_registry(REAL))[::4], ids=lambda entry: entry.slug
)
def test_a_row_can_come_to_any_entry_of_the_real_registry(entry):
    after = with_rows(REAL, entry.id, [NEW])
    rows = [(owner, row.check) for owner, row in all_rows(parse_registry(after))]
    assert len(rows) == len(REAL_ROWS) + 1
    assert (entry.id, NEW.check) in rows
