"""The section on memory: what fits at full size, and predictions beside measurements."""

from __future__ import annotations

from pathlib import Path

from compat.fit.table import FILE, FitRow, FitTable, PairFitRow, UnpredictedRow, write_table
from compat.report import build_view, render_html, write_report
from compat.targets import Device, Mode
from tests.unit.report.records import (
    CHECKS,
    HOSTILE,
    case_record,
    model_spec,
    registry_of,
    run_records,
    target_of,
)

REGISTRY = registry_of(model_spec("acme/m0"), model_spec("acme/m1"))
TARGETS = [target_of(spec, Mode.NF4) for spec in REGISTRY.models]
SIZES = {"weights": {"nf4": 4_000_000_000}, "weights_bytes": 4_000_000_000, "cache_bytes": None}
PEAKS = {"forward_bytes": 500_000_000, "backward_bytes": 3_000_000_000, "disk_bytes": 0}


def row(mode: Mode, *, fits: bool, model: str = "acme/m0") -> FitRow:
    return FitRow(
        model=model, slug="m0", family="acme", mode=mode, gpu_bytes=5_700_000_000,
        host_bytes=17_000_000_000, fits=fits, fits_backward=False,
        largest_batch=12 if fits else 0, largest_backward_batch=3 if fits else 0, **SIZES, **PEAKS,
    )  # fmt: skip


def table(*rows: FitRow, why: str = "its class comes with its repository") -> FitTable:
    pair = PairFitRow(
        source="acme/m0", target="acme/m1", mode=Mode.BF16, adapter="linear", parameters=10,
        gpu_bytes=68_000_000_000, host_bytes=0, batch=2, accumulation=6,
    )  # fmt: skip
    return FitTable(
        device=Device.GPU, gpus=(24_000_000_000,), host=64_000_000_000, disk=0, batch=1,
        length=512, attention="sdpa", packages={}, rows=rows, pairs=(pair,),
        unpredicted=(UnpredictedRow(model="acme/own", slug="own", why=why),),
    )  # fmt: skip


def measured(target, predicted: int, actual: int):
    measures = {"predicted_peak_bytes": predicted, "peak_bytes": actual}
    return case_record(target, CHECKS[0], measures=measures)


def test_every_mode_says_what_it_needs_whether_it_fits_and_the_batches():
    fit = table(row(Mode.NF4, fits=True), row(Mode.CPU_OFFLOAD, fits=False))
    view = build_view(run_records([]), REGISTRY, checks=CHECKS, fit=fit).memory.fit
    assert view.modes == ("nf4", "cpu-offload")
    (model,) = view.rows
    nf4, offloaded = model.cells
    assert (nf4.needs, nf4.fits, nf4.batches) == ("5.7 GB", True, "12 / 3")
    assert (offloaded.needs, offloaded.fits, offloaded.batches) == ("5.7 GB + 17 GB RAM", False, "")


def test_the_largest_error_of_each_mode_is_shown_with_its_model_and_both_figures():
    cases = [measured(TARGETS[0], 1000, 1000), measured(TARGETS[1], 1000, 970)]
    records = [*run_records(TARGETS), *cases]
    (error,) = build_view(records, REGISTRY, checks=CHECKS).memory.errors
    assert (error.mode, error.quantity, error.targets, error.exact) == (
        "nf4", "Peak of a forward", 2, 1,
    )  # fmt: skip
    assert (error.worst, error.model) == ("-3.00%", "acme/m1")
    assert (error.predicted, error.measured) == ("1 kB", "970 B")


def test_without_predictions_there_is_no_section():
    view = build_view(run_records([]), REGISTRY, checks=CHECKS)
    assert view.memory is None
    assert 'id="memory"' not in render_html(view)


def test_the_table_beside_a_report_is_shown_on_the_page(tmp_path: Path):
    write_table(table(row(Mode.NF4, fits=True)), tmp_path / FILE)
    files = write_report((), REGISTRY, tmp_path)
    page = files.html.read_text()
    assert "Memory and fit" in page
    assert '5.7 GB <span class="v-works">' in page
    assert "</svg>fits</span>" in page
    assert "Not predicted: own" in page


def test_a_file_that_is_no_table_is_a_problem_and_loses_nothing(tmp_path: Path):
    (tmp_path / FILE).write_text("{")
    files = write_report((), REGISTRY, tmp_path)
    assert [str(problem) for problem in files.problems] != []
    assert "fit.json is no table of what fits" in files.html.read_text()


def test_names_in_the_table_are_shown_and_never_obeyed():
    for text in HOSTILE:
        fit = table(row(Mode.NF4, fits=True, model=text), why=text)
        page = render_html(build_view(run_records([]), REGISTRY, checks=CHECKS, fit=fit))
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
