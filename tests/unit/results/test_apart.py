"""What one environment found is kept apart from what another did, and compared with it."""

from __future__ import annotations

from compat.outcomes import Outcome, ReasonCode, Stage
from compat.results.apart import by_environment, disagreements
from compat.results.record import CaseRecord
from compat.targets import Mode
from tests.unit.report.records import case_record, model_spec, reason_record, target_of

TARGET = target_of(model_spec("acme/anvil-1b"), Mode.FP32)


def result(environment: str, outcome: Outcome, day: int = 1, **changes: object) -> CaseRecord:
    started = f"2026-11-{day:02d}T10:00:00Z"
    return case_record(
        TARGET, outcome=outcome, environment=environment, started=started, number=day, **changes
    )


def test_each_environment_has_its_own_newest_results() -> None:
    old, new = result("laptop", Outcome.FAILED, 1), result("laptop", Outcome.PASSED, 2)
    other = result("server", Outcome.FAILED, 3)
    known = by_environment([other, new, old])
    assert known == {"laptop": {new.case: new}, "server": {other.case: other}}


def test_environments_that_disagree_are_named_with_what_each_found() -> None:
    (found,) = disagreements([result("laptop", Outcome.PASSED), result("server", Outcome.FAILED)])
    assert found.outcomes == (("laptop", Outcome.PASSED), ("server", Outcome.FAILED))


def test_what_one_environment_has_mended_since_is_no_disagreement() -> None:
    cases = [result("laptop", Outcome.FAILED, 1), result("laptop", Outcome.PASSED, 2)]
    assert disagreements([*cases, result("server", Outcome.PASSED)]) == ()


def test_a_machine_that_lacks_something_contradicts_nobody() -> None:
    skip = result(
        "laptop",
        Outcome.SKIPPED,
        stage=Stage.REQUIREMENTS,
        reason=reason_record(ReasonCode.NO_GPU),
    )
    assert disagreements([skip, result("server", Outcome.PASSED)]) == ()
