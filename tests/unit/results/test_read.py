from __future__ import annotations

import json
from pathlib import Path

import pytest

from compat.results.read import read_records
from compat.results.record import SCHEMA, CaseRecord, dump_record
from compat.targets import Mode
from tests.unit.report.records import case_record, model_spec, passing, target_of

TARGET = target_of(model_spec("acme/anvil-1b"), Mode.FP32)
CASE = case_record(TARGET)


def written(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + end)
    return path


def test_folders_are_read_with_everything_below_them(tmp_path: Path) -> None:
    cases = passing(TARGET)
    written(tmp_path / "r1" / "gw0.jsonl", *map(dump_record, cases[:5]))
    written(tmp_path / "r1" / "gw1.jsonl", *map(dump_record, cases[5:]))
    read = read_records(tmp_path)
    assert sorted(map(dump_record, read.records)) == sorted(map(dump_record, cases))
    assert read.problems == ()


def test_a_torn_last_line_is_said_and_costs_nothing_else(tmp_path: Path) -> None:
    whole = dump_record(CASE)
    file = written(tmp_path / "r1" / "main.jsonl", whole, whole[:40], end="")
    read = read_records(file)
    assert read.records == (CASE,)
    (problem,) = read.problems
    assert "torn" in problem.text
    assert (problem.file, problem.line) == ("r1/main.jsonl", 2)


def test_a_whole_last_line_without_its_line_break_counts(tmp_path: Path) -> None:
    read = read_records(written(tmp_path / "main.jsonl", dump_record(CASE), end=""))
    assert read.records == (CASE,)
    assert read.problems == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json at all", "not JSON"),
        ("[1, 2]", "no object"),
        (json.dumps({"kind": "dream", "run": "r1"}), "unknown kind of record 'dream'"),
        (json.dumps({"kind": "case", "run": "r1"}), "not a case record"),
        (json.dumps({"kind": "dream", "run": "r1", "schema": SCHEMA + 1}), "newer"),
        (dump_record(CASE.model_copy(update={"schema_version": SCHEMA + 1})), "newer"),
        (dump_record(CASE.model_copy(update={"case": "acme/anvil-1b"})), "case id"),
        (dump_record(CASE).replace("/fp32/", "/fp3/"), "case id"),
    ],
)
def test_a_line_that_can_not_be_read_is_set_aside_and_said(
    tmp_path: Path, line: str, said: str
) -> None:
    read = read_records(written(tmp_path / "main.jsonl", line, dump_record(CASE)))
    assert read.records == (CASE,)
    (problem,) = read.problems
    assert said in problem.text
    assert problem.line == 1


def test_bytes_that_are_no_text_are_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "main.jsonl"
    file.write_bytes(b"\xff\xfe\x00\n" + dump_record(CASE).encode() + b"\n")
    read = read_records(file)
    assert read.records == (CASE,)
    assert [problem.text for problem in read.problems] == ["not JSON"]


def test_the_same_fault_in_many_lines_is_one_problem(tmp_path: Path) -> None:
    read = read_records(written(tmp_path / "main.jsonl", *["oops"] * 7))
    (problem,) = read.problems
    assert problem.count == 7
    assert "7 lines" in str(problem)


def test_a_missing_file_is_a_problem_and_no_error(tmp_path: Path) -> None:
    read = read_records([tmp_path / "gone.jsonl"])
    assert read.records == ()
    assert "can't be read" in read.problems[0].text


def test_problems_never_name_a_folder_of_this_machine(tmp_path: Path) -> None:
    read = read_records(written(tmp_path / "r1" / "main.jsonl", "oops"))
    assert str(tmp_path) not in str(read.problems[0])


def test_fields_that_a_later_suite_adds_are_kept(tmp_path: Path) -> None:
    line = json.dumps(json.loads(dump_record(CASE)) | {"temperature": 21})
    (record,) = read_records(written(tmp_path / "main.jsonl", line)).records
    assert isinstance(record, CaseRecord)
    assert json.loads(dump_record(record))["temperature"] == 21


def test_the_figures_of_a_broken_model_can_be_read_again(tmp_path: Path) -> None:
    nan, infinite = float("nan"), float("inf")
    figures = {"losses_nats": [2.0, nan, infinite], "kl_nats": nan, "tokens": 3}
    case = CASE.model_copy(update={"measures": figures})
    read = read_records(written(tmp_path / "main.jsonl", dump_record(case)))
    assert read.problems == ()
    (found,) = read.records
    assert isinstance(found, CaseRecord)
    assert str(found.measures["losses_nats"]) == "[2.0, nan, inf]"
    assert found.measures["kl_nats"] == "NaN"
    assert found.measures["tokens"] == 3
    assert "NaN" not in dump_record(case).replace('"NaN"', ""), "JSON has no such number"
