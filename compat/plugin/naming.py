"""Cases that were named one by one: by node id on the command line, or by --lf and --ff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from compat.targets import Target
from compat.targets.nodepart import bracketed, loaded_part

LAST_FAILED = "cache/lastfailed"


@dataclass(frozen=True)
class NamedCases:
    """The cases of one test function that were named one by one."""

    parts: frozenset[str] = frozenset()
    """What stands between the brackets of their node ids."""
    alone: bool = False
    """Whether nothing else of this function was asked for."""

    @property
    def loads(self) -> frozenset[str]:
        """Their targets, as `slug-weights-device-mode`."""
        return frozenset(filter(None, map(loaded_part, self.parts)))

    def wrappers_among(self, offered: Iterable[str]) -> tuple[str, ...]:
        """The wrappers of `offered` that some of the cases are about."""
        return tuple(
            wrapper
            for wrapper in offered
            if any(f"{loaded_part(part)}-{wrapper}-" in f"{part}-" for part in self.parts)
        )

    def is_about(self, target: Target) -> bool:
        """Whether one of the cases is on this target, wrapper included."""
        return any(f"{part}-".startswith(f"{target.node_part}-") for part in self.parts)

    @classmethod
    def of(cls, config: pytest.Config, definition: pytest.Function) -> NamedCases:
        """Find those of a function."""
        given, alone = _on_the_command_line(config, definition)
        again = () if alone else _failed_before(config, definition)
        return cls(frozenset((*given, *again)), alone)


def _failed_before(config: pytest.Config, definition: pytest.Function) -> Iterator[str]:
    wanted = config.getoption("lf", False) or config.getoption("failedfirst", False)
    if not wanted or config.cache is None:
        return
    for node_id in config.cache.get(LAST_FAILED, {}):
        if node_id.startswith(f"{definition.nodeid}["):
            yield bracketed(node_id)


def _on_the_command_line(
    config: pytest.Config, definition: pytest.Function
) -> tuple[tuple[str, ...], bool]:
    """The bracketed parts that name cases of the function, and whether nothing wider names it."""
    parts: list[str] = []
    wider = False
    names = definition.nodeid.split("::")[1:]
    for argument in config.args:
        path, _, rest = argument.partition("::")
        base = (config.invocation_params.dir / path).resolve()
        if not rest:
            # What is no path, such as a package under --pyargs, may hold the function.
            wider |= not base.exists() or definition.path.resolve().is_relative_to(base)
        elif base == Path(definition.path).resolve() or _is_module(path, config, definition):
            inner = rest.partition("[")[0].split("::")
            if inner == names and bracketed(rest):
                parts.append(bracketed(rest))
            else:
                wider |= inner == names[: len(inner)]
    return tuple(parts), bool(parts) and not wider


def _is_module(name: str, config: pytest.Config, definition: pytest.Function) -> bool:
    """Whether a function's module was named in the place of its file, with --pyargs."""
    return bool(config.getoption("pyargs")) and name == definition.module.__name__
