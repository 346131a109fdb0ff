"""Which known failure applies to a case, and which rows apply to none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from compat.registry import (
    Conditions,
    FailureIndex,
    KnownFailure,
    Registry,
    RegistryError,
    expected_failure,
    explains,
    installed_packages,
    refuse_stale_rows,
    stale_rows,
)
from compat.targets import Device, Mode, Weights
from compat.targets.target import CaseId

Build = Callable[..., Registry]

OAK = CaseId("acme/oak-1b", Weights.TWIN, Device.CPU, Mode.NF4, "bare", "recites")
PINE = replace(OAK, model="acme/pine-2b")
HERE = Conditions(
    packages={"torch": "2.13.0+cpu", "Transformers": "5.23.0"},
    cpu_flags=frozenset({"avx2", "avx512_bf16"}),
)


def row(check: str = "recites", reason: str = "a", indent: int = 2, **more: str) -> str:
    """A row as it is written in `models.yaml`."""
    keys = {
        "check": check,
        "blame": "upstream",
        "reason": reason,
        "raises": "{type: AssertionError, match: .}",
        **more,
    }
    text = "\n".join(f"{' ' * indent}  {key}: {value}" for key, value in keys.items())
    return " " * indent + "- " + text.strip() + "\n"


def own(**more: str) -> str:
    return row(indent=6, **more)


def expected(registry: Registry, case: CaseId, here: Conditions = HERE) -> str | None:
    """The reason of the row that applies."""
    found = expected_failure(registry, registry.by_id(case.model), case, here)
    return None if found is None else found.reason


def test_nothing_is_expected_of_a_model_without_rows(registry_with: Build) -> None:
    assert expected(registry_with(), OAK) is None


def test_a_row_applies_to_its_check_alone(registry_with: Build) -> None:
    registry = registry_with(own())
    assert expected(registry, OAK) == "a"
    assert expected(registry, replace(OAK, check="causal")) is None


def test_a_models_row_says_nothing_of_another_model(registry_with: Build) -> None:
    assert expected(registry_with(own()), PINE) is None


@pytest.mark.parametrize(
    ("key", "glob", "elsewhere"),
    [
        ("mode", "nf*", Mode.INT8),
        ("device", "cpu", Device.GPU),
        ("weights", "twin", Weights.HUB),
        ("wrapper", "b*", "adaptive"),
    ],
)
def test_each_coordinate_may_be_a_glob(
    registry_with: Build, key: str, glob: str, elsewhere: str
) -> None:
    registry = registry_with(own(**{key: f"'{glob}'"}))
    assert expected(registry, OAK) == "a"
    assert expected(registry, replace(OAK, **{key: elsewhere})) is None


def test_a_check_may_be_a_glob(registry_with: Build) -> None:
    registry = registry_with(own(check="rec*"))
    assert expected(registry, OAK) == "a"
    assert expected(registry, replace(OAK, check="causal")) is None


@pytest.mark.parametrize(("key", "glob"), [("model", "acme/oak*"), ("family", "o?k")])
def test_a_row_for_several_models_chooses_by_glob(
    registry_with: Build, key: str, glob: str
) -> None:
    registry = registry_with(shared=row(**{key: f"'{glob}'"}))
    assert expected(registry, OAK) == "a"
    assert expected(registry, PINE) is None


def test_the_models_own_row_wins(registry_with: Build) -> None:
    registry = registry_with(own(reason="own"), row(reason="shared"))
    assert expected(registry, OAK) == "own"
    assert expected(registry, PINE) == "shared"


def test_of_several_rows_the_first_in_the_file_wins(registry_with: Build) -> None:
    first_is_a_glob = registry_with(own(check="'*'", reason="glob") + own(reason="named"))
    first_is_named = registry_with(own(reason="named") + own(check="'*'", reason="glob"))
    assert expected(first_is_a_glob, OAK) == "glob"
    assert expected(first_is_named, OAK) == "named"


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("{}", True),
        ("{packages: {torch: '>=2.13,<3'}}", True),
        ("{packages: {transformers: '>=5.23'}}", True),
        ("{packages: {torch: '>=2.13', transformers: '<5.23'}}", False),
        ("{packages: {absent: '>=0'}}", False),
        ("{cpu_flag: avx512_bf16}", True),
        ("{cpu_flag: amx_tile}", False),
        ("{cuda_capability: '>=8'}", False),
    ],
)
def test_a_row_applies_where_all_its_conditions_hold(
    registry_with: Build, when: str, holds: bool
) -> None:
    assert expected(registry_with(own(when=when)), OAK) == ("a" if holds else None)


def test_a_gpu_is_compared_by_its_capability(registry_with: Build) -> None:
    registry = registry_with(own(when="{cuda_capability: '<9.0'}"))
    assert expected(registry, OAK, Conditions(cuda_capability="8.9")) == "a"
    assert expected(registry, OAK, Conditions(cuda_capability="10.0")) is None


def test_a_row_whose_condition_fails_makes_room_for_the_next(registry_with: Build) -> None:
    registry = registry_with(own(reason="gone", when="{cpu_flag: none}") + own(reason="here"))
    assert expected(registry, OAK) == "here"


def test_an_index_answers_as_the_single_question_does(registry_with: Build) -> None:
    registry = registry_with(own(mode="nf4"), row(check="causal"))
    index = FailureIndex(registry, HERE)
    for case in (OAK, PINE, replace(OAK, mode=Mode.FP32), replace(PINE, check="causal")):
        spec = registry.by_id(case.model)
        assert index.expected(spec, case) == expected_failure(registry, spec, case, HERE)


def test_only_packages_that_rows_name_are_looked_up(registry_with: Build) -> None:
    registry = registry_with(own(when="{packages: {pytest: '>=9', no-such-package: '>=1'}}"))
    found = installed_packages(registry.models[0].known_failures)
    assert found == {"pytest": pytest.__version__}


def test_a_row_knows_its_line(registry_with: Build) -> None:
    registry = registry_with(own() + own(check="causal"), row(check="finite"))
    rows = (*registry.models[0].known_failures, *registry.known_failures)
    assert [each.line for each in rows] == [16, 20, 36]


def failure(**raises: str) -> KnownFailure:
    return KnownFailure.model_validate(
        {"check": "c", "blame": "model", "reason": "r", "raises": raises}
    )


def test_an_exception_is_explained_by_its_class_and_its_text() -> None:
    known = failure(type="RuntimeError", match=r"shape '\[64, 1\]'")
    assert explains(known, RuntimeError("shape '[64, 1]' is invalid"))
    assert not explains(known, RuntimeError("another shape"))
    assert not explains(known, ValueError("shape '[64, 1]' is invalid"))


def test_a_child_of_the_class_is_explained_too() -> None:
    assert explains(failure(type="RuntimeError", match=""), NotImplementedError())
    assert explains(failure(type="builtins.LookupError", match=""), KeyError())


def test_a_row_that_matches_some_case_is_not_stale(registry_with: Build) -> None:
    registry = registry_with(own(mode="nf4"), row(family="pine"))
    assert stale_rows(registry, [OAK, PINE]) == ()


def test_conditions_of_a_machine_make_no_row_stale(registry_with: Build) -> None:
    registry = registry_with(own(when="{cpu_flag: none, packages: {absent: '>=1'}}"))
    assert stale_rows(registry, [OAK]) == ()


def test_a_row_covered_by_another_is_not_stale(registry_with: Build) -> None:
    registry = registry_with(own(check="'*'") + own())
    assert stale_rows(registry, [OAK]) == ()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ({"check": "recitse"}, "there is no check 'recitse'; did you mean 'recites'?"),
        ({"mode": "fp8"}, "there is no mode 'fp8'"),
        ({"mode": "nf4", "device": "gpu"}, "there is no device 'gpu'; did you mean 'cpu'?"),
    ],
    ids=["check", "mode", "device"],
)
def test_a_stale_row_is_told_which_of_its_patterns_nothing_fits(
    registry_with: Build, rows: dict[str, str], why: str
) -> None:
    [stale] = stale_rows(registry_with(own(**rows)), [OAK, PINE])
    assert stale.why.startswith(why)


def test_patterns_that_fit_apart_and_never_together_are_stale(registry_with: Build) -> None:
    registry = registry_with(shared=row(check="causal", model="acme/pine-2b"))
    [stale] = stale_rows(registry, [replace(OAK, check="causal"), PINE])
    assert stale.why == "nothing has check 'causal', model 'acme/pine-2b' at once"


def test_stale_rows_are_one_error_with_a_line_each(registry_with: Build) -> None:
    registry = registry_with(own(check="gone"), row(check="lost"))
    with pytest.raises(RegistryError) as caught:
        refuse_stale_rows(registry, [OAK, PINE])
    assert str(caught.value).splitlines() == [
        "models.yaml:16: this known failure can match no case: there is no check 'gone'",
        "models.yaml:32: this known failure can match no case: there is no check 'lost'",
    ]


def test_a_registry_without_stale_rows_is_accepted(registry_with: Build) -> None:
    refuse_stale_rows(registry_with(own()), [OAK])
