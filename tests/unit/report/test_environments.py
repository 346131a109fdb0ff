"""Results of several environments: apart in every cell, named, and held beside one another."""

from __future__ import annotations

import gzip
import json

from compat.outcomes import Outcome, ReasonCode, Stage
from compat.report import build_view, render_html
from compat.report.view import CellView, ReportView
from compat.results.record import EnvRecord, Record, parse_record
from compat.results.verdict import Word
from compat.targets import Mode, Target, Weights
from tests.unit.report.records import (
    CHECKS,
    case_record,
    environment_record,
    model_spec,
    passing,
    reason_record,
    registry_of,
    target_of,
)

ANVIL = model_spec("acme/anvil-1b")
REGISTRY = registry_of(ANVIL)
FP32 = target_of(ANVIL, Mode.FP32)
HUB = target_of(ANVIL, Mode.FP32, Weights.HUB)
OLD = "2026-11-01T10:00:00Z"
NEW = "2026-11-20T10:00:00Z"
HERE = environment_record(id="here")
THERE = environment_record(
    id="there", gpus=[{"name": "H200", "memory_gb": 141.0, "capability": "9.0"}]
)


def ran(environment: str, started: str, target: Target = FP32, failing: str = "") -> list[Record]:
    return [
        case_record(
            target,
            check,
            Outcome.FAILED if check.name == failing else Outcome.PASSED,
            run=environment,
            environment=environment,
            started=started,
        )
        for check in CHECKS
    ]


def seen(*records: Record) -> ReportView:
    return build_view([HERE, THERE, *records], REGISTRY, checks=CHECKS)


def cell(view: ReportView) -> CellView:
    return view.models[0].cells[0]


def test_what_two_environments_ran_by_halves_is_whole_in_neither() -> None:
    half = len(CHECKS) // 2
    view = seen(*ran("here", OLD)[:half], *ran("there", NEW)[half:])
    assert cell(view).word is Word.NOT_TESTED
    assert [other.word for other in cell(view).others] == [Word.NOT_TESTED]
    (target,) = view.models[0].targets
    assert {case.outcome for area in target.areas for case in area.checks} == {
        Outcome.PASSED,
        None,
    }


def test_a_cell_speaks_of_the_newest_environment_that_tested_it() -> None:
    view = seen(*ran("here", OLD), *ran("there", NEW, failing="recites"))
    assert (cell(view).word, cell(view).environment) == (Word.BROKEN, "there")
    (other,) = cell(view).others
    assert (other.word, other.environment, other.agrees) == (Word.WORKS, "here", False)


def test_a_few_cases_that_passed_elsewhere_take_no_verdict_away() -> None:
    view = seen(*ran("here", OLD), *ran("there", NEW)[:3])
    assert (cell(view).word, cell(view).environment) == (Word.WORKS, "here")
    assert [other.word for other in cell(view).others] == [Word.NOT_TESTED]


def test_a_machine_that_lacks_something_hides_nothing() -> None:
    reason = reason_record(ReasonCode.NO_GPU)
    skips = [
        case_record(
            FP32,
            check,
            Outcome.SKIPPED,
            environment="there",
            started=NEW,
            stage=Stage.REQUIREMENTS,
            reason=reason,
        )
        for check in CHECKS
    ]
    view = seen(*ran("here", OLD)[:3], *skips)
    assert cell(view).environment == "here"


def test_environments_that_came_to_the_same_are_named_together() -> None:
    view = seen(*ran("here", OLD), *ran("there", NEW))
    assert cell(view).letters == ("A", "B")
    assert [other.agrees for other in cell(view).others] == [True]


def test_one_verdict_for_different_checks_is_no_agreement() -> None:
    first, second = CHECKS[3].name, CHECKS[4].name
    view = seen(*ran("here", OLD, failing=first), *ran("there", NEW, failing=second))
    assert cell(view).word is Word.PARTIAL
    assert cell(view).letters == ("B",)
    assert [other.agrees for other in cell(view).others] == [False]


def test_a_checkpoint_in_one_environment_never_meets_a_twin_in_another() -> None:
    view = seen(*ran("here", OLD), *ran("there", NEW, HUB, failing="recites"))
    assert (cell(view).evidence, cell(view).environment) == ("hub", "there")
    assert [(other.weights, other.environment) for other in cell(view).others] == [
        (Weights.TWIN, "here")
    ]
    assert not cell(view).others[0].agrees


def test_what_differs_is_shown_check_by_check_with_what_was_found_there() -> None:
    view = seen(*ran("here", NEW), *ran("there", OLD, failing="recites"))
    (target,) = view.models[0].targets
    (there,) = target.elsewhere
    (one,) = there.differing
    assert (one.check, one.here[0], one.there[0]) == ("recites", "passed", "failed")
    assert there.compared == len(CHECKS)
    assert [finding.checks for finding in there.findings] == [("recites",)]
    assert there.target.anchor == f"{target.anchor}-in-there"


def test_machines_that_differ_in_cores_and_memory_alone_are_one_environment() -> None:
    bigger = environment_record(id="hive", cores=64, memory_gb=512.0)
    half = len(CHECKS) // 2
    records = [HERE, bigger, *ran("here", OLD)[:half], *ran("hive", NEW)[half:]]
    view = build_view(records, REGISTRY, checks=CHECKS)
    assert cell(view).word is Word.WORKS
    assert (cell(view).letters, cell(view).others) == ((), ())
    assert {one.stands_for for one in view.environments} == {"here"}


def test_labels_say_what_differs() -> None:
    view = seen(*ran("here", NEW), *ran("there", OLD)[:2])
    labels = {one.letter: one.label for one in view.environments}
    assert labels == {"A": "no GPU", "B": "H200"}


def test_each_environment_counts_its_own_targets() -> None:
    view = seen(*ran("here", NEW), *ran("there", OLD, failing="recites"))
    counted = {
        one.id: [(count.word, count.count) for tally in one.tallies for count in tally.counts]
        for one in view.environments
    }
    assert counted == {"here": [("works", 1)], "there": [("broken", 1)]}


def test_disagreements_are_told_once_for_all_targets() -> None:
    nf4 = target_of(ANVIL, Mode.NF4)
    view = seen(
        *ran("here", NEW),
        *ran("here", NEW, nf4),
        *ran("there", OLD, failing="recites"),
        *ran("there", OLD, nf4, failing="recites"),
    )
    (one,) = view.disagreements
    assert (one.check, len(one.targets)) == ("recites", 2)
    assert [(letter, word) for _, letter, word, _ in one.ends] == [("A", "passed"), ("B", "failed")]


def test_times_of_different_machines_stand_in_no_table_together() -> None:
    rocket = model_spec("acme/rocket-7b")
    hammer = model_spec("acme/hammer-1b")
    slow = [ran("here", NEW, target_of(spec, Mode.FP32)) for spec in (ANVIL, rocket)]
    fast = [ran("there", NEW, target_of(spec, Mode.FP32)) for spec in (rocket, hammer, ANVIL)]
    records = [HERE, THERE, *(record for part in (*slow, *fast) for record in part)]
    view = build_view(records, registry_of(ANVIL, rocket, hammer), checks=CHECKS)
    (table,) = view.figures
    assert {name for name, _, _ in table.rows} == {"anvil-1b", "rocket-7b", "hammer-1b"}
    assert view.timed_in["twin"] == ("A",)
    assert [one.id for one in view.environments if one.letter == "A"] == ["there"]


def test_a_failure_says_in_which_environment() -> None:
    view = seen(*ran("here", OLD), *ran("there", NEW, failing="recites"))
    (failure,) = view.failures
    assert failure.environments == ("there",)


def test_the_download_holds_both_the_one_that_speaks_first() -> None:
    view = seen(*ran("here", OLD), *ran("there", NEW))
    cases = json.loads(gzip.decompress(view.download))["cases"]
    size = len(CHECKS)
    assert cases["environment"] == ["there"] * size + ["here"] * size
    assert cases["case"][:size] == cases["case"][size:]


def test_the_page_tells_them_apart_without_scripts() -> None:
    html = render_html(seen(*ran("here", NEW), *ran("there", OLD, failing="recites")))
    anchor = "t-anvil-1b-twin-cpu-fp32-in-there"
    assert f'<a class="other v-broken" href="#{anchor}"' in html
    assert f'<div id="{anchor}"' in html
    assert "In other environments" in html
    assert '<option value="there">B: H200</option>' in html


def test_where_there_is_one_environment_no_letter_is_needed() -> None:
    html = render_html(build_view([HERE, *passing(FP32)], REGISTRY, checks=CHECKS))
    assert "data-env" not in html
    assert 'name="env"' not in html


def test_a_crash_belongs_to_the_environment_of_its_process() -> None:
    env = EnvRecord.model_validate(THERE.model_dump(by_alias=True) | {"run": "r9", "worker": "gw0"})
    start = {
        "kind": "case_start",
        "run": "r9",
        "worker": "gw0",
        "execution": "r9/gw0/1",
        "case": f"{FP32.id}/recites",
        "started": NEW,
    }
    view = build_view([HERE, env, *ran("here", OLD), parse_record(start)], REGISTRY, checks=CHECKS)
    assert (cell(view).word, cell(view).environment) == (Word.BROKEN, "there")
