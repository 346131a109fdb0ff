"""Every check is proven able to fail, by each of its assertions, and passes on healthy twins."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from compat.checks.registry import load_catalogue
from compat.outcomes import Outcome
from compat.runner import run_case
from tests.sick.conftest import FAULT
from tests.sick.diagnosis import CHECKS, Clinic, Finding, Place, load_corpus
from tests.sick.sickness import Patient, Sickness

SICKNESSES = tuple(load_corpus())
HEALTHY = sorted({(one.patient, one.check) for one in SICKNESSES})


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    return Clinic()


@pytest.fixture(scope="module")
def findings() -> dict[str, Finding]:
    """What has been found in this process, by the sickness's id."""
    return {}


@pytest.fixture(scope="module")
def healthy() -> Iterator[Callable[[Patient], Any]]:
    """Opens each healthy patient once and keeps it open."""
    clinic = Clinic()
    with ExitStack() as open_patients:
        yield cache(lambda patient: open_patients.enter_context(clinic.admit(patient)))


@pytest.mark.parametrize("sickness", SICKNESSES, ids=lambda sickness: sickness.id)
def test_the_named_check_catches_the_sickness_and_others_stay_green(
    sickness: Sickness,
    clinic: Clinic,
    findings: dict[str, Finding],
    record_property: Callable[[str, object], None],
) -> None:
    finding = findings[sickness.id] = clinic.examine(sickness)
    record_property(FAULT, finding.row.model_dump_json())
    assert finding.caught, (
        f"{sickness.wrong} {sickness.check} should say {sickness.says!r}; it {finding.outcome} "
        f"in stage {finding.stage}: {finding.exception}: {finding.message}"
    )
    assert not finding.alarms, f"{sickness.wrong} `shows_in` does not say that it may show so"


@pytest.mark.parametrize(
    ("patient", "check"), HEALTHY, ids=[f"{check}-{patient}" for patient, check in HEALTHY]
)
def test_the_check_passes_on_the_healthy_patient(
    patient: Patient, check: str, healthy: Callable[[Patient], Any]
) -> None:
    result = run_case(load_catalogue()[check], healthy(patient))
    assert result.outcome is Outcome.PASSED, f"{result.note} {result.exception}"


def test_most_sicknesses_spare_something() -> None:
    without = [one.id for one in SICKNESSES if not one.spares and one.patient.weights != "config"]
    assert not without


def test_every_check_has_a_sickness() -> None:
    names = {check.name for check in load_catalogue()}
    assert {one.check for one in SICKNESSES} == names


def test_every_assertion_of_every_check_has_failed(
    clinic: Clinic, findings: dict[str, Finding]
) -> None:
    failed = {
        (findings.get(sickness.id) or clinic.examine(sickness, look_around=False)).place
        for sickness in SICKNESSES
    }
    never = [
        f"{file}:{first}: {text}"
        for file, first, last, text in assertions()
        if not any(Place(file, line) in failed for line in range(first, last + 1))
    ]
    assert not never, "nothing shows that these can fail:\n" + "\n".join(never)


def assertions() -> Iterator[tuple[str, int, int, str]]:
    """File, first and last line, and text of what the checks assert.

    That is every `assert` with a message (one without is there for the type checker alone) and
    every call of `assert_close` or `assert_same`.
    """
    for path in sorted(CHECKS.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if (isinstance(node, ast.Assert) and node.msg is not None) or _compares(node):
                last = node.end_lineno or node.lineno
                yield path.name, node.lineno, last, ast.unparse(node).splitlines()[0]


def _compares(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"assert_close", "assert_same"}
    )
