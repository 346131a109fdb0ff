"""What the results of a target rest on, besides libraries and hardware, as one short hash."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import compat
from compat.targets import Weights
from compat.targets.plan import PlannedTarget

if TYPE_CHECKING:
    from compat.checks.registry import Check

PACKAGE = Path(compat.__file__).parent
DIGEST = 8
"""Bytes."""


def bases_of(targets: Iterable[PlannedTarget], checks: Iterable[Check]) -> dict[str, str]:
    """Target id -> hash of the sources of suite and checks and of the registry entries.

    A target whose weights can change under the same name has none: a branch of the hub that is not
    pinned to a commit, and a folder on this machine.
    """
    sources = _digest_of_sources(checks)
    found: dict[str, str] = {}
    for planned in targets:
        if all(_is_fixed(planned, spec.checkpoint.revision) for spec in planned.spec.models):
            digest = hashlib.blake2b(sources, digest_size=DIGEST)
            for spec in planned.spec.models:
                digest.update(spec.model_dump_json().encode())
            found[planned.target.id] = digest.hexdigest()
    return found


def _is_fixed(planned: PlannedTarget, revision: str | None) -> bool:
    match planned.target.weights:
        case Weights.TWIN | Weights.CONFIG:
            return True
        case Weights.HUB:
            return revision is not None
        case Weights.LOCAL:
            return False


def _digest_of_sources(checks: Iterable[Check]) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST)
    for path in (*sorted(PACKAGE.rglob("*.py")), *sorted(set(_others(checks)))):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.digest()


def _others(checks: Iterable[Check]) -> Iterator[Path]:
    """The files of checks that come from elsewhere."""
    for check in checks:
        path = Path(inspect.getsourcefile(check.function) or "")
        if path.is_file() and not path.is_relative_to(PACKAGE):
            yield path
