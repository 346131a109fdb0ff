"""The loop that somebody would write by hand: load each target, call each check, free it."""

from __future__ import annotations

from compat.checks.registry import load_catalogue
from compat.loading.open import Opening, open_subject
from compat.outcomes import CannotRun
from compat.registry.load import default_registry_path, load_registry
from compat.runner import run_check
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import this_host
from compat.targets.plan import PlannedTarget

MODES = (Mode.FP32, Mode.NF4)


def main() -> None:
    """Run the checks of one twin a family in two modes."""
    registry = load_registry(default_registry_path())
    checks = tuple(load_catalogue())
    opening = Opening(host=this_host())
    families: dict[str, object] = {}
    called = 0
    for spec in registry.models:
        if families.setdefault(spec.family, spec) is not spec:
            continue
        for mode in MODES:
            target = Target(spec.id, spec.slug, Weights.TWIN, Device.CPU, mode)
            planned = PlannedTarget(target, spec)
            try:
                with open_subject(target, spec, opening) as subject:
                    for check in checks:
                        if planned.offers(check):
                            called += 1
                            try:
                                run_check(check, subject)
                            except (AssertionError, CannotRun, ValueError) as error:
                                print(f"{target.id}/{check.name}: {type(error).__name__}")
            except (CannotRun, RuntimeError) as error:
                print(f"{target.id}: {type(error).__name__}: {error}")
    print(f"{called} checks called")


if __name__ == "__main__":
    main()
