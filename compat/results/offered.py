"""Whether a case that did not run this time still could."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from compat.results.record import CaseRecord
from compat.targets import Weights
from compat.targets.plan import Plannable
from compat.targets.target import CaseId


def still_offered(
    models: Iterable[str], checks: Iterable[Plannable]
) -> Callable[[CaseRecord], bool]:
    """Of the models and pairs of a registry and the checks of a catalogue.

    Folders and tests of somebody's own are in neither: they count as offered, for nobody can tell.
    Without any check, nothing is known to be gone.
    """
    known = frozenset(models)
    names = {check.name: check.area for check in checks}
    areas = frozenset(names.values())

    def offered(case: CaseRecord) -> bool:
        at = CaseId.parse(case.case)
        if at.weights is not Weights.LOCAL and at.model not in known:
            return False
        return at.check in names or case.area not in areas or not names

    return offered
