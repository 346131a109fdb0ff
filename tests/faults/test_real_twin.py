"""The same over a real loader, a real model and real checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

CONFTEST = '''
import ctypes

from compat.checks.registry import check
from compat.subject.subject import Subject


@check(area="forward", modes=["fp32", "bf16"], weights=["twin"])
def kernel_reads_past_its_buffer(subject: Subject) -> None:
    """It does, in one mode."""
    subject.forward(subject.text.inputs)
    if subject.target.mode == "bf16":
        ctypes.string_at(0)


@check(area="forward", modes=["fp32", "bf16"], weights=["twin"])
def it_goes_on(subject: Subject) -> None:
    """In a fresh process, with the same target."""
    assert subject.forward(subject.text.inputs).logits.isfinite().all()
'''


@pytest.mark.parametrize("how", [("--compat-isolate",), ("-n", "2")], ids=["isolated", "-n2"])
def test_a_kernel_that_crashes_costs_its_case_of_a_real_target(tmp_path, how):
    (tmp_path / "pytest.ini").write_text("[pytest]\nstrict_parametrization_ids = true\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_suite.py").write_text("from compat.suite import test_check\n")
    options = ["--compat-model=gpt2", "--compat-modes=fp32,bf16", "-m=forward"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *how],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [
        json.loads(line)
        for file in tmp_path.glob("reports/runs/*/*.jsonl")
        for line in file.read_text().splitlines()
    ]
    cases = [line for line in lines if line["kind"] == "case"]
    planned = next(line["cases"] for line in lines if line["kind"] == "planned")
    assert len(cases) == sum(map(len, planned.values())), done.stdout
    crashed = [case for case in cases if case["outcome"] == "crashed"]
    assert [case["check"] for case in crashed] == ["kernel_reads_past_its_buffer"]
    assert crashed[0]["measures"]["signal"] == "SIGSEGV"
    assert "in kernel_reads_past_its_buffer" in crashed[0]["failure"]["trace"]
    assert crashed[0]["measures"]["peak_resident_bytes"] > 100e6
    loading = [line for line in lines if line["kind"] == "case_start" and line["stage"] == "load"]
    loads = Counter(start["case"].split("/")[-3] for start in loading)
    assert loads == {"fp32": 1, "bf16": 2}
