"""What `when` of a known failure asks of a machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from compat.registry.spec import KnownFailure, When


@dataclass(frozen=True)
class Conditions:
    """The facts of a machine that known failures depend on."""

    packages: Mapping[str, str] = field(default_factory=dict)
    """Installed package -> version; what is not installed is not in it."""
    cpu_flags: frozenset[str] = frozenset()
    cuda_capability: str | None = None
    """Such as '9.0'; None without a GPU."""

    def hold(self, when: When) -> bool:
        """Whether all of `when` is the case here; what this machine lacks never is."""
        if when.cpu_flag is not None and when.cpu_flag not in self.cpu_flags:
            return False
        if not _within(self.cuda_capability, when.cuda_capability):
            return False
        installed = {canonicalize_name(name): found for name, found in self.packages.items()}
        return all(
            _within(installed.get(canonicalize_name(name)), specifier)
            for name, specifier in when.packages.items()
        )


def installed_packages(rows: Iterable[KnownFailure]) -> dict[str, str]:
    """Versions of the packages that any `when` of `rows` names, where they are installed."""
    found = {}
    for name in {name for row in rows for name in row.when.packages}:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _within(version: str | None, specifier: str | None) -> bool:
    if specifier is None:
        return True
    return version is not None and SpecifierSet(specifier).contains(version, prereleases=True)
