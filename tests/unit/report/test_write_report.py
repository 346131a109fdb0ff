from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compat.report import write_report
from compat.results.atomic import replace_text
from compat.results.record import dump_record
from compat.targets import Mode
from tests.unit.report.records import (
    CHECKS,
    model_spec,
    passing,
    registry_of,
    run_records,
    target_of,
)

SPEC = model_spec("acme/anvil-1b")
TARGET = target_of(SPEC, Mode.FP32)


def test_three_files_are_written_from_the_runs_of_a_folder(tmp_path: Path) -> None:
    runs = tmp_path / "runs" / "r1"
    runs.mkdir(parents=True)
    lines = [dump_record(record) for record in [*run_records([TARGET]), *passing(TARGET)]]
    (runs / "main.jsonl").write_text("\n".join(lines) + "\ntorn")
    files = write_report(tmp_path / "runs", registry_of(SPEC), tmp_path, checks=CHECKS)
    assert "anvil-1b" in files.html.read_text()
    assert "acme/anvil-1b" in files.markdown.read_text()
    assert len(files.records.read_text().splitlines()) == len(lines)
    assert len(files.problems) == 1
    assert files.missing == ()


def test_a_report_of_its_own_merged_records_is_the_same(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    records = [*run_records([TARGET]), *passing(TARGET)[:7]]
    source.write_text("".join(dump_record(record) + "\n" for record in records))
    first = write_report(source, registry_of(SPEC), tmp_path / "one", checks=CHECKS)
    second = write_report(first.records, registry_of(SPEC), tmp_path / "two", checks=CHECKS)
    assert first.html.read_text() == second.html.read_text()
    assert first.records.read_text() == second.records.read_text()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    replace_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_the_report_imports_no_torch() -> None:
    code = "import sys, compat.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
