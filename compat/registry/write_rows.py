"""Known failures in the text of `models.yaml`: lines go and come, and every other stays as it is.

Comments outside the rows that go, order and layout are a person's work, and kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import yaml

from compat.registry.document import Loader, line_of
from compat.registry.load import RegistryError, parse_registry
from compat.registry.spec import ARROW, KnownFailure
from compat.registry.write import last_line

KEY = "known_failures"
_LISTS = ("models", "pairs")
_BEFORE = "evidence"
"""The key that known failures stand before in an entry."""
_ONE_LINE = 10_000


def without_rows(text: str, lines: Collection[int], name: str = "models.yaml") -> str:
    """The text of a registry less the rows that begin on `lines`, counted from 1.

    Raises RegistryError where there is no such row, or it is written inside a flow list.
    """
    kept = text.splitlines(keepends=True)
    wanted = set(lines)
    for key, rows in _row_lists(text):
        found = [row for row in rows.value if row.start_mark.line + 1 in wanted]
        if found and rows.flow_style:
            raise RegistryError(f"{name}:{line_of(rows)}: a list on one line is changed by hand")
        wanted -= {row.start_mark.line + 1 for row in found}
        emptied = len(found) == len(rows.value)
        for first, last in [(row.start_mark.line, last_line(row)) for row in found]:
            kept[first:last] = [""] * (last - first)
        if found and emptied:
            kept[key.start_mark.line] = ""
    if wanted:
        raise RegistryError(f"{name}:{min(wanted)}: no known failure begins here")
    changed = "".join(kept)
    parse_registry(changed, name)
    return changed


def with_rows(
    text: str, model: str, rows: Sequence[KnownFailure], name: str = "models.yaml"
) -> str:
    """The text of a registry with rows more for a model or pair, behind those it has.

    An entry that is written on one line gets a line for each key first. Raises RegistryError where
    there is no such entry, or a list in it would have to be taken apart.
    """
    entry = _entry(text, model)
    if entry is None:
        raise RegistryError(f"{name}: no model or pair {model!r} to write known failures for")
    if entry.flow_style and entry.start_mark.line == entry.end_mark.line:
        return with_rows(_taken_apart(text, entry), model, rows, name)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    at, written = _place(entry, rows, name)
    lines[at:at] = written
    changed = "".join(lines)
    parse_registry(changed, name)
    return changed


def row_lines(row: KnownFailure, indent: int) -> list[str]:
    """A row as it is written, each line with its line break; what is not said is left out."""
    said: dict[str, Any] = row.model_dump(mode="json", exclude_defaults=True)
    parts = [part for key, value in said.items() for part in _written(key, value)]
    return [
        f"{' ' * indent}{'- ' if number == 0 else '  '}{part}\n"
        for number, part in enumerate(parts)
    ]


def _written(key: str, value: Any) -> list[str]:
    flows = isinstance(value, dict)
    dumped: str = yaml.safe_dump(
        value if flows else {key: value},
        default_flow_style=flows,
        sort_keys=False,
        width=_ONE_LINE,
        allow_unicode=True,
    )
    lines = dumped.rstrip("\n").splitlines()
    return [f"{key}: {lines[0]}", *lines[1:]] if flows else lines


def _place(
    entry: yaml.MappingNode, rows: Sequence[KnownFailure], name: str
) -> tuple[int, list[str]]:
    """The index of the line to write at, and what is written there."""
    keys = {key.value: (key, value) for key, value in entry.value}
    if entry.flow_style or (KEY in keys and keys[KEY][1].flow_style):
        raise RegistryError(
            f"{name}:{line_of(entry)}: an entry or list on one line is changed by hand"
        )
    column = entry.start_mark.column
    if KEY in keys:
        present = keys[KEY][1]
        indent = present.start_mark.column
        return last_line(present), [line for row in rows for line in row_lines(row, indent)]
    before = keys.get(_BEFORE)
    at = before[0].start_mark.line if before else last_line(entry)
    written = [line for row in rows for line in row_lines(row, column + 2)]
    return at, [f"{' ' * column}{KEY}:\n", *written]


def _taken_apart(text: str, entry: yaml.MappingNode) -> str:
    """The text with an entry of one line in block style, keys and values as they are written."""
    lines = text.splitlines(keepends=True)
    line, indent = lines[entry.start_mark.line], " " * entry.start_mark.column
    parts = [
        f"{line[key.start_mark.column : key.end_mark.column]}: "
        f"{line[value.start_mark.column : value.end_mark.column]}"
        for key, value in entry.value
    ]
    before, after = line[: entry.start_mark.column], line[entry.end_mark.column :]
    lines[entry.start_mark.line] = before + f"\n{indent}".join(parts) + after
    return "".join(lines)


def _entry(text: str, model: str) -> yaml.MappingNode | None:
    for key, entries in _top(text):
        if key.value in _LISTS and isinstance(entries, yaml.SequenceNode):
            for entry in entries.value:
                if isinstance(entry, yaml.MappingNode) and _name(entry) == model:
                    return entry
    return None


def _name(entry: yaml.MappingNode) -> str:
    values = {key.value: value.value for key, value in entry.value}
    return str(values.get("id") or f"{values.get('source')}{ARROW}{values.get('target')}")


def _row_lists(text: str) -> Iterator[tuple[yaml.Node, yaml.SequenceNode]]:
    """Every list of known failures, with its key: those of entries, and those of all models."""
    for key, value in _top(text):
        if key.value == KEY and isinstance(value, yaml.SequenceNode):
            yield key, value
        if key.value in _LISTS and isinstance(value, yaml.SequenceNode):
            for entry in value.value:
                for inner, rows in entry.value if isinstance(entry, yaml.MappingNode) else ():
                    if inner.value == KEY and isinstance(rows, yaml.SequenceNode):
                        yield inner, rows


def _top(text: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    root = yaml.compose(text, Loader=Loader)
    return root.value if isinstance(root, yaml.MappingNode) else []
