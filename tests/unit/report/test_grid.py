"""Checks and measures of all modes of a model, side by side."""

from __future__ import annotations

from compat.outcomes import Outcome
from compat.report import build_view
from compat.report.grid import GridView
from compat.results.record import CaseRecord, FailureRecord
from compat.targets import Mode, Weights
from tests.unit.report.records import (
    CHECKS,
    case_record,
    model_spec,
    passing,
    registry_of,
    target_of,
)

SPEC = model_spec("acme/anvil-1b")
FP32, NF4 = target_of(SPEC, Mode.FP32), target_of(SPEC, Mode.NF4)
HUB = target_of(SPEC, Mode.FP32, Weights.HUB)
FAILURE = FailureRecord(type="RuntimeError", message="boom")


def grid_of(*cases: CaseRecord) -> GridView:
    (model,) = build_view(cases, registry_of(SPEC), checks=CHECKS).models
    return model.grid


def cells(grid: GridView, check: str) -> list[tuple[str, int]]:
    rows = (check.row for area in grid.areas for check in area.checks)
    return [(cell.text, cell.span) for row in rows if row.name == check for cell in row.cells]


def test_modes_that_agree_share_a_cell() -> None:
    grid = grid_of(*passing(FP32), *passing(NF4))
    assert cells(grid, "recites") == [("passed", 2)]


def test_modes_that_differ_have_a_cell_each() -> None:
    failed = case_record(NF4, CHECKS[-1], Outcome.FAILED, failure=FAILURE)
    grid = grid_of(*passing(FP32), *passing(NF4)[:-1], failed)
    assert cells(grid, "still_recites") == [("passed", 1), ("failed", 1)]


def test_weights_of_different_kinds_never_share_one_and_the_checkpoint_comes_first() -> None:
    grid = grid_of(*passing(FP32), *passing(HUB))
    assert [target.weights for target in grid.targets] == [Weights.HUB, Weights.TWIN]
    assert cells(grid, "recites") == [("passed", 1), ("passed", 1)]


def test_a_measure_stands_below_its_check_with_a_gap_where_it_was_not_taken() -> None:
    measured = case_record(NF4, CHECKS[0], measures={"kl_nats": 0.25, "nothing": None})
    grid = grid_of(*passing(FP32), measured, *passing(NF4)[1:])
    first = next(check for area in grid.areas for check in area.checks if check.measures)
    assert first.row.name == CHECKS[0].name
    (row,) = first.measures
    assert (row.name, [cell.text for cell in row.cells]) == ("KL", ["—", "0.25 nats"])


def test_an_area_has_the_score_and_the_mark_of_its_worst_check() -> None:
    failed = case_record(NF4, CHECKS[0], Outcome.FAILED, failure=FAILURE)
    loading = grid_of(*passing(FP32), failed, *passing(NF4)[1:]).areas[0]
    assert loading.name == "loading"
    assert [(score.text, score.mark) for score in loading.scores] == [
        ("3/3", "works"),
        ("2/3", "broken"),
    ]


def test_checks_that_did_not_run_are_no_pass() -> None:
    loading = grid_of(*passing(FP32)[1:]).areas[0]
    assert [(score.text, score.mark) for score in loading.scores] == [("2/3", "not-tested")]
