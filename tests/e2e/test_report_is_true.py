"""A report of real twins that ended in every way: each cell has its records, each command repeats.

GPT-2 dies, hangs, runs out of memory and passes what a row says it fails; of two mixtures of
experts one has lost its row; ChatGLM has no twin. Beside them stand a folder, a wrapper, a pair,
and what a machine without a GPU says of one.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from base64 import b64decode
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from compat.outcomes import Outcome
from compat.registry.load import default_registry_path
from compat.results.merge import crashed_cases, merge, newest_results
from compat.results.read import read_records
from compat.results.record import CaseRecord, Record
from compat.targets import Device, Kind, Weights
from compat.targets.target import CaseId

HERE = Path(__file__).parent
MODELS = (
    "openai-community/gpt2",
    "mistralai/Mixtral-8x7B-v0.1",
    "Qwen/Qwen1.5-MoE-A2.7B",
    "zai-org/chatglm3-6b",
)
PASSING = {
    "check": "greedy_repeats",
    "raises": {"type": "AssertionError", "match": "at first"},
    "blame": "model",
    "reason": "it was said to waver",
}
DEADLINE = 12
"""Seconds: far more than a check on a twin takes."""
GREEN = (Outcome.PASSED, Outcome.SKIPPED)
FOLDER = "downloads/tiny gpt2"
"""A folder of weights; its name holds that of a check, and a space."""
BESIDE = (
    ("--compat-model", FOLDER, "-k", "fp32 and (loads or writes_text or chat_template)"),
    ("--compat-wrapper", "adaptive", "-k", "gpt2 and fp32 and loads"),
    ("--compat-pair", "gpt2", "qwen1.5-moe-a2.7b", "-k", "fp32 and carries_states"),
    ("-m", "gpu", "-k", "gpt2 and fp32 and loads"),
)
"""What is run beside the registry's own models."""


class Page(HTMLParser):
    """Cells of the matrix, opened targets, and where each text says that it is from."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[dict[str, str | None]] = []
        self.targets: dict[str, str] = {}
        self.sources: list[str] = []
        self.results = b""
        self._source = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if "data-outcomes" in found and tag == "a":
            self.cells.append(found)
        if target := found.get("data-target"):
            self.targets[str(found["id"])] = target
        if found.get("id") == "results":
            self.results = b64decode(str(found["href"]).partition(",")[2])
        self._source = found.get("class") == "src"

    def handle_data(self, data: str) -> None:
        if self._source:
            self.sources.append(data)
            self._source = False


@dataclass(frozen=True)
class Made:
    """A project in which the suite has run, and its report."""

    folder: Path

    @cached_property
    def records(self) -> tuple[Record, ...]:
        return merge(read_records(self.folder / "reports" / "runs").records)

    @cached_property
    def cases(self) -> dict[str, CaseRecord]:
        """Case id -> the record that the report has to show."""
        return known_cases(self.records)

    @cached_property
    def html(self) -> str:
        return (self.folder / "reports" / "index.html").read_text()

    @cached_property
    def page(self) -> Page:
        return Page(self.html)

    @cached_property
    def results(self) -> dict[str, dict[str, Any]]:
        """Case id -> what the page says of the case."""
        columns = json.loads(gzip.decompress(self.page.results))["cases"]
        rows = zip(*columns.values(), strict=True)
        return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}


def known_cases(records: tuple[Record, ...]) -> dict[str, CaseRecord]:
    cases = [record for record in records if isinstance(record, CaseRecord)]
    return newest_results([*cases, *crashed_cases(records)])


def run(folder: Path, *arguments: str) -> None:
    """Run pytest there, as a person would who copies a command."""
    _run(folder, "-m", "pytest", "-p", "no:cacheprovider", *arguments)


def compat(folder: Path, *arguments: str) -> None:
    """Run the command line of the suite there."""
    _run(folder, "-c", "from compat.cli import main; main()", *arguments)


def _run(folder: Path, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name[:6] != "PYTEST"}
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("project")
    registry = yaml.safe_load(default_registry_path().read_text())
    models = {model["id"]: model for model in registry["models"] if model["id"] in MODELS}
    models["openai-community/gpt2"]["known_failures"] = [PASSING]
    models["openai-community/gpt2"]["deadlines"] = {"check": DEADLINE}
    del models["Qwen/Qwen1.5-MoE-A2.7B"]["known_failures"]
    content = {"schema": 1, "models": list(models.values())}
    (folder / "models.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "pytest.ini").write_text("[pytest]\ncompat_registry = models.yaml\n")
    (folder / "conftest.py").write_text((HERE / "twins_that_end_in_every_way.py").read_text())
    (folder / "test_suite.py").write_text("from compat.suite import test_check\n")
    compat(folder, "twin", "gpt2", "-o", FOLDER)
    run(folder, "-n", "1", "--compat-modes", "fp32,nf4,meta")
    for arguments in BESIDE:
        run(folder, *arguments)
    compat(folder, "report", "reports/runs", "--registry", "models.yaml")
    return Made(folder)


def test_the_run_has_ended_in_every_way(made: Made) -> None:
    assert {case.outcome for case in made.cases.values()} == set(Outcome)


def test_it_has_tried_every_kind_of_target(made: Made) -> None:
    ids = [CaseId.parse(case) for case in made.cases]
    assert {at.weights for at in ids} == set(Weights)
    assert {at.device for at in ids} == set(Device)
    assert {at.wrapper for at in ids} == {"bare", "adaptive"}
    assert {Kind.of(at.model) for at in ids} == set(Kind)


def test_every_cell_leads_to_its_target_and_says_what_its_records_say(made: Made) -> None:
    assert len(made.page.cells) >= 3 * 2 + len(MODELS)
    for cell in made.page.cells:
        target = made.page.targets[str(cell["href"]).removeprefix("#")]
        cases = [case for id_, case in made.cases.items() if id_.startswith(f"{target}/")]
        assert cases
        _, *outcomes = str(cell["data-outcomes"]).split()
        assert set(outcomes) == {str(case.outcome) for case in cases}
        assert cell["data-weights"] == target.rsplit("/", 4)[1]


def test_every_case_of_the_page_is_a_record_and_every_record_is_on_the_page(made: Made) -> None:
    assert made.results.keys() == made.cases.keys()
    for id_, said in made.results.items():
        case = made.cases[id_]
        assert (said["execution"], said["outcome"]) == (case.execution, str(case.outcome))
        assert said["environment"] == case.environment
        assert said["seconds"] == pytest.approx(case.seconds, abs=1e-3)


def test_every_source_can_be_looked_up(made: Made) -> None:
    known = {case.execution for case in made.cases.values()}
    known |= {record.run for record in made.records}
    lines = (made.folder / "models.yaml").read_text().splitlines()
    for source in made.page.sources:
        kind, _, place = source.partition(" ")
        if kind == "record" and place:
            assert place in known
        elif place:
            line = lines[int(place.rpartition(":")[2]) - 1]
            assert line.lstrip().startswith(("- id:", "- check:")), line


def test_every_line_of_a_registry_leads_to_the_entry_that_is_spoken_of(made: Made) -> None:
    lines = (made.folder / "models.yaml").read_text().splitlines()
    for model in MODELS:
        article = made.html.partition(f"</small>{model.rpartition('/')[2]}")[2]
        found = re.search(r"registry models\.yaml:(\d+)", article)
        assert found
        assert lines[int(found[1]) - 1].strip() == f"- id: {model}"


def sampled(made: Made) -> list[CaseRecord]:
    """A case for every outcome, and for all that passed or were skipped one of every kind."""
    chosen: dict[tuple[object, ...], CaseRecord] = {}
    for case in made.cases.values():
        at = CaseId.parse(case.case)
        kind = (at.weights, at.device, at.wrapper, Kind.of(at.model))
        told = case.reason.code if case.reason else None
        key = (case.outcome, told, *(kind if case.outcome in GREEN else ()))
        chosen.setdefault(key, case)
    return list(chosen.values())


def offered(made: Made, case: CaseRecord) -> set[str]:
    """The commands that the page offers for a case."""
    target = case.case.rpartition("/")[0]
    anchor = next(key for key, value in made.page.targets.items() if value == target)
    rest = made.html.partition(f'id="{anchor}"')[2]
    panel = re.split('<details class="(?:target|fold)', rest)[0]
    lines = re.findall(r'<p class="reproduce"><code>(.*?)</code>', panel)
    # A case with a finding has a command of its own, the others that of their target.
    texts = [unescape(line).replace("-CHECK]", f"-{case.check}]") for line in lines]
    return {text for text in texts if f"-{case.check}]'" in text}


def test_a_command_of_every_outcome_and_kind_gives_that_outcome_again(
    made: Made, tmp_path: Path
) -> None:
    cases = sampled(made)
    assert {case.outcome for case in cases} == set(Outcome)
    for number, case in enumerate(cases):
        assert case.reproduce in offered(made, case)
        program, *arguments = shlex.split(case.reproduce)
        assert program == "pytest"
        records = tmp_path / str(number)
        run(made.folder, *arguments, "--compat-records", str(records))
        again = known_cases(merge(read_records(records).records))
        assert {id_: ended(found) for id_, found in again.items()} == {case.case: ended(case)}


def ended(case: CaseRecord) -> tuple[object, ...]:
    return case.outcome, case.reason.code if case.reason else None
