"""Adding a model to `models.yaml`: text is put in, and what is there stays as it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from compat.registry.load import parse_registry
from compat.registry.spec import ModelSpec

WIDTH = 100
INDENT = "    "
FLOWING = frozenset(
    {"aliases", "config", "config_fix", "blocks", "encoder", "vision", "widths", "checkpoint"}
    | {"requires", "optional", "modes"}
)
"""Keys whose values are written on as few lines as they need."""


def entry_text(spec: ModelSpec) -> str:
    """The entry as it is written in the file: what is not said is left out."""
    written = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    written.setdefault("slug", spec.slug)
    if spec.slug == spec.id.rpartition("/")[2].lower():
        del written["slug"]  # what it is by default
    lines = [f"{INDENT}{line}" for key, value in written.items() for line in _lines(key, value)]
    return "\n".join(["  - " + lines[0].removeprefix(INDENT), *lines[1:]]) + "\n"


def with_entry(text: str, spec: ModelSpec, name: str = "models.yaml") -> str:
    """The text of a registry with one model more, behind the last.

    Raises RegistryError where the result is no valid registry: a name that is taken, say.
    """
    lines = text.splitlines(keepends=True)
    last = _last_line_of_models(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    lines[last:last] = ["\n", *entry_text(spec).splitlines(keepends=True)]
    changed = "".join(lines)
    parse_registry(changed, name)
    return changed


def add_entry(path: Path, spec: ModelSpec, replace: Callable[[Path, str], None]) -> None:
    """Add a model to a registry file, whole or not at all.

    `replace(path, text)` writes a file atomically. Raises RegistryError, OSError.
    """
    replace(path, with_entry(path.read_text(encoding="utf-8"), spec, path.name))


def _lines(key: str, value: Any) -> list[str]:
    flows = key in FLOWING
    dumped: str = yaml.safe_dump(
        value if flows else {key: value},
        default_flow_style=flows,
        sort_keys=False,
        width=WIDTH - len(INDENT) - len(key),
        allow_unicode=True,
    )
    lines = dumped.rstrip("\n").splitlines()
    return [f"{key}: {lines[0]}", *lines[1:]] if flows else lines


def _last_line_of_models(text: str) -> int:
    """The number of the line that the last model ends on, counted from 1."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "models":
                return last_line(value)
    return len(text.splitlines())


def last_line(node: yaml.Node) -> int:
    """Where a node's own text ends: a block's end mark stands where the next one begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return last_line(last[1] if isinstance(last, tuple) else last)
    line: int = node.end_mark.line
    ends_below = node.end_mark.column == 0 and line > node.start_mark.line
    return line if ends_below else line + 1
