from __future__ import annotations

from compat.outcomes import Blame, Outcome, ReasonCode, Stage
from compat.report import build_view
from compat.report.view import CellView, ModelView, ReportView
from compat.results.read import Problem
from compat.results.record import CaseRecord, CaseStartRecord, ExpectationRecord, FailureRecord
from compat.results.verdict import Word
from compat.targets import CPU_MODES, Device, Mode, Target, Weights
from tests.unit.report.records import (
    CHECKS,
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

ANVIL = model_spec("acme/anvil-1b", aliases=["anvil"])
ROCKET = model_spec("acme/rocket-7b", family="rocket")
REGISTRY = registry_of(ANVIL, ROCKET)
FP32 = target_of(ANVIL, Mode.FP32)


def model_of(view: ReportView, name: str) -> ModelView:
    return next(model for model in view.models if model.name == name)


def cell_of(view: ReportView, name: str, mode: Mode) -> CellView:
    position = [column.mode for column in view.columns].index(mode)
    return model_of(view, name).cells[position]


def test_without_records_every_model_is_there_and_not_tested() -> None:
    view = build_view([], REGISTRY)
    assert [model.name for model in view.models] == ["anvil-1b", "rocket-7b"]
    assert {cell.word for model in view.models for cell in model.cells} == {Word.NOT_TESTED}
    assert view.runs == ()
    assert [len(group.models) for group in view.untested] == [2]


def test_every_cell_traces_to_records() -> None:
    registry = registry_of(*(model_spec(f"acme/m{number}") for number in range(8)))
    records = varied_records(registry)
    cases = {record.case for record in records if isinstance(record, CaseRecord)}
    started = {record.case for record in records if isinstance(record, CaseStartRecord)}
    view = build_view(records, registry, checks=CHECKS)
    tested = 0
    for model in view.models:
        targets = {target.anchor: target for target in model.targets}
        for cell in (*model.cells, model.structure):
            if not cell.word.is_tested:
                continue
            tested += 1
            target = targets[cell.anchor]
            assert target.verdict.target == cell.target
            ran = [check for area in target.areas for check in area.checks if check.outcome]
            assert ran or target.findings
            for check in ran:
                assert f"{cell.target}/{check.name}" in cases | started
            for finding in target.findings:
                assert set(finding.cases) <= cases | started
    assert tested > 8


def test_counts_add_up() -> None:
    registry = registry_of(*(model_spec(f"acme/m{number}") for number in range(8)))
    view = build_view(varied_records(registry), registry, checks=CHECKS)
    counted = dict.fromkeys(("Models", "Targets", "Cases"), 0)
    for tally in view.tallies:
        counted[tally.title] += sum(count.count for count in tally.counts)
    assert counted == {
        "Models": 8,
        "Targets": 8 * len(CPU_MODES),
        "Cases": 8 * len(CPU_MODES) * len(CHECKS) + 8,
    }


def test_a_cell_leads_with_the_checkpoint_and_keeps_the_twin() -> None:
    hub = target_of(ANVIL, Mode.FP32, Weights.HUB)
    records = [*run_records([FP32, hub]), *passing(FP32), *passing(hub)]
    cell = cell_of(build_view(records, REGISTRY), "anvil-1b", Mode.FP32)
    assert cell.evidence == "hub"
    assert [other.weights for other in cell.others] == [Weights.TWIN]


def test_a_blocked_checkpoint_does_not_hide_what_the_twin_showed() -> None:
    hub = target_of(ANVIL, Mode.FP32, Weights.HUB)
    reason = reason_record(ReasonCode.NOT_DOWNLOADED)
    skips = [
        case_record(hub, check, Outcome.SKIPPED, stage=Stage.REQUIREMENTS, reason=reason)
        for check in CHECKS
    ]
    view = build_view([*passing(FP32), *skips], REGISTRY)
    cell = cell_of(view, "anvil-1b", Mode.FP32)
    assert (cell.word, cell.evidence) == (Word.WORKS, "twin")
    assert [(other.weights, other.word) for other in cell.others] == [(Weights.HUB, Word.BLOCKED)]
    assert view.skips[0].code == "not-downloaded"
    assert view.skips[0].cases == len(CHECKS)


def test_checks_of_the_catalogue_that_never_ran_keep_a_target_from_working() -> None:
    catalogue = (*CHECKS, FakeCheck("a_check_of_tomorrow", "forward", "Still to come."))
    view = build_view(passing(FP32), REGISTRY, checks=catalogue)
    cell = cell_of(view, "anvil-1b", Mode.FP32)
    assert cell.word is Word.NOT_TESTED
    assert "a_check_of_tomorrow" in cell.why


def test_gpu_columns_come_after_the_cpu_and_only_when_something_was_planned() -> None:
    gpu = Target(ANVIL.id, ANVIL.slug, Weights.TWIN, Device.GPU, Mode.NF4)
    assert {column.device for column in build_view([], REGISTRY).columns} == {Device.CPU}
    columns = build_view(passing(gpu), REGISTRY).columns
    assert [(column.device, column.mode) for column in columns] == [
        *((Device.CPU, mode) for mode in CPU_MODES),
        (Device.GPU, Mode.NF4),
    ]


def test_a_folder_outside_the_registry_has_a_row_of_its_own() -> None:
    local = Target("my model <1>", "my-model", Weights.LOCAL, Device.CPU, Mode.FP32)
    view = build_view(passing(local), REGISTRY)
    model = view.models[-1]
    assert model.id == "my model <1>"
    assert model.anchor == "m-my-model-1"
    assert model.word is Word.WORKS


def test_a_wrapped_model_has_a_row_beside_the_bare_one() -> None:
    wrapped = Target(ANVIL.id, ANVIL.slug, Weights.TWIN, Device.CPU, Mode.FP32, "adaptive")
    bad = case_record(wrapped, CHECKS[0], Outcome.FAILED)
    view = build_view([*passing(FP32), bad], REGISTRY)
    rows = [(model.name, model.wrapper, model.word) for model in view.models[:2]]
    assert rows == [("anvil-1b", "", Word.WORKS), ("anvil-1b", "adaptive", Word.BROKEN)]


def test_what_stands_in_a_wrapper_is_counted_apart() -> None:
    wrapped = Target(ANVIL.id, ANVIL.slug, Weights.TWIN, Device.CPU, Mode.FP32, "adaptive")
    bad = case_record(wrapped, CHECKS[0], Outcome.FAILED)
    view = build_view([*passing(FP32), bad], REGISTRY)
    counted = {
        (tally.title, tally.evidence): [(c.word, c.count) for c in tally.counts if c.count]
        for tally in view.tallies
        if tally.title.startswith("Models")
    }
    assert counted == {
        ("Models", "twin"): [("works", 1)],
        ("Models", "no evidence"): [("not tested", 1)],
        ("Models in adaptive", "twin"): [("broken", 1)],
    }
    assert [(total.works, total.tested) for total in view.totals[0]] == [(1, 1)]


def test_facts_of_a_wrapped_model_are_those_of_the_bare_one() -> None:
    facts = Target(ANVIL.id, ANVIL.slug, Weights.CONFIG, Device.CPU, Mode.META)
    wrapped = Target(ANVIL.id, ANVIL.slug, Weights.TWIN, Device.CPU, Mode.FP32, "adaptive")
    structure = FakeCheck("structure_matches_registry", "structure", "The facts are right.")
    view = build_view([case_record(facts, structure), *passing(wrapped)], REGISTRY)
    assert [model.structure.word for model in view.models[:2]] == [Word.WORKS, Word.WORKS]


def test_models_of_which_nothing_ran_share_one_reason() -> None:
    view = build_view(run_records([FP32, target_of(ROCKET, Mode.NF4)]), REGISTRY, checks=CHECKS)
    (group,) = view.untested
    assert group.why == "None of its checks has run."
    assert len(group.models) == 2


def test_a_skip_takes_no_time_and_no_memory() -> None:
    hub = target_of(ANVIL, Mode.FP32, Weights.HUB)
    skip = case_record(
        hub,
        CHECKS[0],
        Outcome.SKIPPED,
        stage=Stage.REQUIREMENTS,
        reason=reason_record(ReasonCode.GATED),
        measures={"resident_bytes": 5e8},
    )
    assert build_view([skip], REGISTRY).figures == ()


def test_the_time_for_all_checks_is_that_of_all_checks() -> None:
    whole = build_view(passing(FP32), REGISTRY, checks=CHECKS)
    part = build_view(passing(FP32)[:3], REGISTRY, checks=CHECKS)
    assert [table.title for table in whole.figures] == ["Time for all checks"]
    assert part.figures == ()


def test_cases_that_ended_alike_are_told_once() -> None:
    failure = FailureRecord(type="OSError", message="no such file")
    cases = [
        case_record(FP32, check, Outcome.FAILED, stage=Stage.LOAD, failure=failure)
        for check in CHECKS
    ]
    (target,) = model_of(build_view(cases, REGISTRY, checks=CHECKS), "anvil-1b").targets
    (finding,) = target.findings
    assert len(finding.checks) == len(CHECKS)
    assert finding.reproduce == cases[0].reproduce
    assert sum(len(area.checks) for area in target.areas) == len(CHECKS)


def test_a_fault_of_many_models_is_one_entry_with_all_its_places() -> None:
    cases = [
        case_record(
            target_of(spec, mode),
            CHECKS[4],
            Outcome.FAILED,
            failure=FailureRecord(type="RuntimeError", message=f"shape {size} is invalid"),
        )
        for size, spec in enumerate((ANVIL, ROCKET))
        for mode in (Mode.INT8, Mode.NF4)
    ]
    (failure,) = build_view(cases, REGISTRY).failures
    assert failure.cases == 4
    assert [(place.model, place.modes) for place in failure.places] == [
        ("anvil-1b", ("int8", "nf4")),
        ("rocket-7b", ("int8", "nf4")),
    ]


def test_known_failures_stand_apart_with_blame_reason_and_line() -> None:
    row = ExpectationRecord(blame=Blame.UPSTREAM, reason="not quantized", issue="#1", line=812)
    bad = case_record(FP32, CHECKS[5], Outcome.KNOWN_FAILURE, number=1, expectation=row)
    view = build_view([*passing(FP32), bad], REGISTRY)
    assert view.failures == ()
    (known,) = view.known_failures
    assert (known.blame, known.reason, known.line) == ("upstream", "not quantized", 812)


def test_a_crashed_process_is_shown_as_a_crash_with_a_way_to_repeat_it() -> None:
    lost = CHECKS[12]
    start = CaseStartRecord(
        run="r1", execution="r1/gw0/9", case=f"{FP32.id}/{lost.name}", started="2026-11-20T10:00Z"
    )
    cases = [case for case in passing(FP32) if case.check != lost.name]
    view = build_view([*run_records([FP32]), *cases, start], REGISTRY, checks=CHECKS)
    (target,) = model_of(view, "anvil-1b").targets
    (finding,) = target.findings
    assert finding.word == "crashed"
    assert finding.reproduce.endswith(f"-{lost.name}]'")
    assert target.verdict.word is Word.BROKEN
    assert view.runs[0].missing == 0


def test_an_interrupted_run_says_how_far_it_came() -> None:
    start = CaseStartRecord(
        run="r1", execution="r1/main/6", case=f"{FP32.id}/{CHECKS[5].name}", started="2026-11-20"
    )
    records = [*run_records([FP32], exit_status=2), *passing(FP32)[:5], start]
    view = build_view(records, REGISTRY, checks=CHECKS)
    (run,) = view.runs
    assert (run.planned, run.done, run.missing) == (len(CHECKS), 5, len(CHECKS) - 5)
    assert run.interrupted == (start.case,)
    assert cell_of(view, "anvil-1b", Mode.FP32).word is Word.NOT_TESTED


def test_what_could_not_be_read_is_said() -> None:
    view = build_view([], REGISTRY, problems=[Problem("r1/main.jsonl", 3, "not JSON")])
    assert view.problems == ("r1/main.jsonl:3: not JSON",)


def test_figures_are_those_of_the_leading_target() -> None:
    records = [
        case_record(FP32, CHECKS[0], measures={"load_seconds": 0.02, "weights_bytes": 1e6}),
        *passing(FP32)[1:],
    ]
    figures = {table.title: table for table in build_view(records, REGISTRY).figures}
    name, _, values = figures["Time to load"].rows[0]
    assert (name, values[0]) == ("anvil-1b", "20 ms")
    assert figures["Weights in memory"].rows[0][2][0] == "1 MB"
    assert "Tokens per second" not in figures


def test_a_cache_is_shown_by_the_token_and_a_peak_as_it_was_measured() -> None:
    memory = {"kv_cache_bytes": 8192, "kv_cache_tokens": 16, "peak_bytes": 51_328}
    records = [case_record(FP32, CHECKS[0], measures=memory), *passing(FP32)[1:]]
    figures = {table.title: table for table in build_view(records, REGISTRY).figures}
    assert figures["KV cache"].rows[0][2][0] == "512 B"
    assert figures["Peak of a forward"].rows[0][2][0] == "51.3 kB"


def test_a_mode_that_the_registry_leaves_out_says_so() -> None:
    spec = model_spec("acme/anvil-1b", modes=["fp32"])
    view = build_view([], registry_of(spec))
    assert "registry does not test" in cell_of(view, "anvil-1b", Mode.NF4).why
    assert "No run" in cell_of(view, "anvil-1b", Mode.FP32).why


def test_an_unknown_target_in_a_plan_stops_nothing() -> None:
    plan = run_records([FP32])[2].model_copy(update={"cases": {"a/b/fp5": ("recites",)}})
    assert len(build_view([plan], REGISTRY).models) == 2
