"""The loop that somebody would write by hand: load each target, call each check, free it."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator

import psutil

from compat.checks.registry import load_catalogue
from compat.loading.open import Opening, open_subject
from compat.outcomes import CannotRun
from compat.plugin.workers import bound_kernel_caches
from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import ModelSpec
from compat.runner import run_check
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import this_host
from compat.targets.mode import CPU_MODES
from compat.targets.plan import PlannedTarget

LIGHT_AREAS = ("loading", "forward", "hooks")


def main() -> None:
    """Time: one twin a family in two modes, every check. `passes`: resident memory, all of them."""
    bound_kernel_caches()
    models = load_registry(default_registry_path()).models
    if sys.argv[1:] == ["passes"]:
        resident = [run(models, CPU_MODES, LIGHT_AREAS) for _ in range(2)]
        print("FIGURES" + json.dumps(resident))
    else:
        run(list(first_of_each_family(models)), (Mode.FP32, Mode.NF4))


def run(models: Collection[ModelSpec], modes: Collection[Mode], areas: Collection[str] = ()) -> int:
    """Run the checks, of all areas or of some; resident memory in bytes after the last target."""
    checks = [check for check in load_catalogue() if not areas or check.area in areas]
    opening = Opening(host=this_host())
    called = 0
    for spec in models:
        for mode in modes:
            target = Target(spec.id, spec.slug, Weights.TWIN, Device.CPU, mode)
            offered = [check for check in checks if PlannedTarget(target, spec).offers(check)]
            try:
                with open_subject(target, spec, opening) as subject:
                    for check in offered:
                        called += 1
                        try:
                            run_check(check, subject)
                        except (AssertionError, CannotRun, ValueError) as error:
                            print(f"{target.id}/{check.name}: {type(error).__name__}")
            except (CannotRun, RuntimeError) as error:
                print(f"{target.id}: {type(error).__name__}: {error}")
    print(f"{called} checks called")
    return int(psutil.Process().memory_info().rss)


def first_of_each_family(models: Collection[ModelSpec]) -> Iterator[ModelSpec]:
    """What `--compat-per-family=1` selects."""
    seen: set[str] = set()
    for spec in models:
        if spec.family not in seen:
            seen.add(spec.family)
            yield spec


if __name__ == "__main__":
    main()
