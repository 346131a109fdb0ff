"""Files of any number of machines, days and versions merge to one, however they are dealt out."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from compat.outcomes import Outcome
from compat.report import build_view
from compat.results.merge import conflicts, write_merged
from compat.results.read import read_records
from compat.results.record import (
    SCHEMA,
    CaseRecord,
    EnvRecord,
    GpuRecord,
    JobEndRecord,
    Record,
    dump_record,
)
from compat.targets import Mode, Weights
from tests.unit.report.records import (
    CHECKS,
    case_record,
    environment_record,
    model_spec,
    registry_of,
    run_records,
    target_of,
)

SPEC = model_spec("acme/anvil-1b")
REGISTRY = registry_of(SPEC)
TARGETS = [
    target_of(SPEC, mode, weights)
    for mode in (Mode.FP32, Mode.NF4)
    for weights in (Weights.TWIN, Weights.HUB)
]
GPUS = (GpuRecord(name="H200", memory_gb=150.8, capability="9.0"),)


@st.composite
def machines(draw: st.DrawFn) -> list[Record]:
    """All that one machine writes in one run: whichever GPU, versions, day, results and end."""
    run = draw(st.sampled_from("abcd"))
    environment: EnvRecord = environment_record(run).model_copy(
        update={
            "id": draw(st.sampled_from(["laptop", "server"])),
            "gpus": draw(st.sampled_from([(), GPUS])),
            "packages": {"torch": draw(st.sampled_from(["2.12.0", "2.13.0+cpu"]))},
        }
    )
    begun, _, planned, _ = run_records(TARGETS, run=run)
    end = JobEndRecord(run=run, finished="2026-11-28T00:00:00Z", exit_status=0, cases=1, loads=1)
    cases = [
        case_record(
            draw(st.sampled_from(TARGETS)),
            draw(st.sampled_from(CHECKS[:3])),
            draw(st.sampled_from([Outcome.PASSED, Outcome.FAILED, Outcome.CRASHED])),
            run=run,
            number=number,
            started=f"2026-11-{draw(st.integers(1, 28)):02d}T10:00:00Z",
            environment=environment.id,
        )
        for number in range(draw(st.integers(0, 5)))
    ]
    return [begun, environment, planned, *cases, *([end] if draw(st.booleans()) else [])]


def merged_text(folder: Path, files: list[list[str]]) -> str:
    """Write the files, merge them, and read what came of it."""
    paths = []
    for number, lines in enumerate(files):
        paths.append(folder / f"{number}.jsonl")
        paths[-1].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    read = read_records(paths)
    write_merged(read.records, folder / "merged.jsonl", unread=read.unread)
    return (folder / "merged.jsonl").read_text(encoding="utf-8")


NEWER = json.dumps({"kind": "dream", "run": "z", "schema": SCHEMA + 1, "colour": "green"})


@given(st.lists(machines(), min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_however_lines_are_dealt_out_to_files_the_same_comes_of_it(
    runs: list[list[Record]], rng: random.Random
) -> None:
    lines = [*(dump_record(record) for run in runs for record in run), NEWER]
    dealt = [line for line in lines for _ in range(rng.randint(1, 2))]  # some files twice
    rng.shuffle(dealt)
    cut = rng.randint(0, len(dealt))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        once = merged_text(folder, [lines])
        assert merged_text(folder, [dealt[:cut], dealt[cut:]]) == once
        assert merged_text(folder, [once.splitlines()]) == once
        assert merged_text(folder, [once.splitlines(), dealt[:cut]]) == once


@given(st.lists(machines(), min_size=1, max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_report_does_not_depend_on_the_order_either(
    runs: list[list[Record]], rng: random.Random
) -> None:
    records = [record for run in runs for record in run]
    shuffled = rng.sample(records, len(records))
    assert build_view(shuffled, REGISTRY, checks=CHECKS) == build_view(
        records, REGISTRY, checks=CHECKS
    )


@given(st.lists(machines(), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_no_whole_line_is_lost(runs: list[list[Record]]) -> None:
    lines = [*(dump_record(record) for run in runs for record in run), NEWER]
    with tempfile.TemporaryDirectory() as name:
        kept = merged_text(Path(name), [lines]).splitlines()
    claimed = {json.loads(line)["execution"] for line in lines if '"execution"' in line}
    assert claimed == {json.loads(line)["execution"] for line in kept if '"execution"' in line}
    assert {line for line in lines if '"execution"' not in line} <= set(kept)


def test_lines_of_a_newer_suite_are_said_and_go_on_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text(f"{NEWER}\n")
    read = read_records(tmp_path / "new.jsonl")
    assert read.unread == (NEWER,)
    assert "update compat" in str(read.problems[0])
    write_merged(read.records, tmp_path / "merged.jsonl", unread=read.unread)
    assert (tmp_path / "merged.jsonl").read_text() == f"{NEWER}\n"


def test_two_results_that_claim_one_execution_are_said() -> None:
    one: CaseRecord = case_record(TARGETS[0])
    other = one.model_copy(update={"outcome": Outcome.FAILED})
    assert conflicts([one, one]) == ()
    assert conflicts([one, other]) == (one.execution,)
    (problem,) = build_view([one, other], REGISTRY).problems
    assert one.execution in problem
