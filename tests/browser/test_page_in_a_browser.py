"""What only a browser can tell: the filter, opening by address, and that nothing else runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from compat.outcomes import Outcome
from compat.report import build_view, write_html
from compat.results.record import FailureRecord
from compat.targets import Mode
from tests.unit.report.records import (
    CHECKS,
    case_record,
    model_spec,
    passing,
    registry_of,
    target_of,
)

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt install chromium")

ANVIL, ROCKET = model_spec("acme/anvil-1b", aliases=["heavy"]), model_spec("acme/rocket-7b")
ATTACK = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "index.html"
    anvil, rocket = target_of(ANVIL, Mode.FP32), target_of(ROCKET, Mode.NF4)
    failure = FailureRecord(type="RuntimeError", message=ATTACK, trace=ATTACK)
    bad = case_record(rocket, CHECKS[0], Outcome.FAILED, failure=failure, sample=ATTACK)
    view = build_view([*passing(anvil), bad], registry_of(ANVIL, ROCKET), checks=CHECKS)
    write_html(view, path)
    return path


def document(page: Path, address: str = "") -> str:
    """The document as it stands once its script has run."""
    command = [
        CHROMIUM,
        "--headless",
        "--disable-gpu",
        "--no-sandbox",  # the page is ours, and containers run as root
        f"--user-data-dir={page.parent / 'profile'}",
        "--dump-dom",
        f"{page.as_uri()}{address}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def row_of(text: str, slug: str) -> str:
    found = re.search(rf'<tr data-model="m-{slug}"[^>]*>', text)
    assert found
    return found[0]


def target_of_anchor(text: str, anchor: str) -> str:
    """The start tag of the details element around an anchor."""
    return re.findall(r"<details[^>]*>", text[: text.index(f'id="{anchor}"')])[-1]


def test_the_filter_is_in_the_address(page: Path) -> None:
    text = document(page, "#q=ANVIL")
    assert "hidden" not in row_of(text, "anvil-1b")
    assert "hidden" in row_of(text, "rocket-7b")
    assert "1 of 2" in text


@pytest.mark.parametrize("words", ["heavy", "acme works", "llama anvil"])
def test_the_filter_finds_aliases_organisations_families_and_verdicts(
    page: Path, words: str
) -> None:
    text = document(page, f"#q={words.replace(' ', '%20')}")
    assert "hidden" not in row_of(text, "anvil-1b")


def test_a_filter_that_nothing_matches_says_so(page: Path) -> None:
    text = document(page, "#q=zeppelin")
    assert '<p class="none" id="none">' in text


def test_without_a_filter_everything_is_there(page: Path) -> None:
    text = document(page)
    assert "hidden" not in row_of(text, "anvil-1b") + row_of(text, "rocket-7b")


@pytest.mark.parametrize("address", ["#{}", "#q=rocket&at={}"])
def test_an_address_opens_its_target(page: Path, address: str) -> None:
    anchor = "t-rocket-7b-twin-cpu-nf4"
    assert "open" in target_of_anchor(document(page, address.format(anchor)), anchor)
    assert "open" not in target_of_anchor(document(page), anchor)


def test_what_a_model_wrote_never_runs(page: Path) -> None:
    text = document(page)
    assert "<title>Model support</title>" in text
    assert "taken" in text
