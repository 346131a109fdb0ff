"""A YAML file read as plain values that remember their lines.

Only mappings with text keys, lists, text, numbers, booleans and null are read: no tag constructs an
object, and no alias can make a small file large.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

try:  # libyaml, where PyYAML was built with it, reads ten times as fast
    from yaml import CSafeLoader as _Loader
except ImportError:
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

Loader = _Loader
"""What reads a registry's YAML everywhere."""

Path = Sequence[str | int]

_SCALARS = {
    "tag:yaml.org,2002:int": yaml.SafeLoader.construct_yaml_int,
    "tag:yaml.org,2002:float": yaml.SafeLoader.construct_yaml_float,
    "tag:yaml.org,2002:bool": yaml.SafeLoader.construct_yaml_bool,
    "tag:yaml.org,2002:null": yaml.SafeLoader.construct_yaml_null,
}
# A date stays text: no key of the registry is a date, and JSON has none.
_TEXT = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"})
_LIST = "tag:yaml.org,2002:seq"
_MAPPING = "tag:yaml.org,2002:map"

# YAML 1.1 takes these for text; whoever writes them means a number.
_NUMBER_IN_DISGUISE = re.compile(r"[-+]?(\d+|\d*\.\d+|\d+\.)[eE][-+]?\d+")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a file. Lines and columns count from 1."""

    line: int
    text: str
    column: int | None = None

    def shown(self, name: str) -> str:
        """`name:line: text`, as compilers write it, so that editors can jump there."""
        at = f"{self.line}" if self.column is None else f"{self.line}:{self.column}"
        return f"{name}:{at}: {self.text}"


@dataclass(frozen=True)
class Document:
    """A file's values, and where they stand."""

    value: Any
    root: yaml.Node | None
    problems: tuple[Problem, ...]

    def line(self, path: Path) -> int:
        """The line of a key or list item; of its nearest parent where it is not in the file."""
        node, line = self.root, 1
        for part in path:
            child = _child(node, part)
            if child is None:
                break
            node, line = child
        return line


def read_document(text: str) -> Document:
    """Read YAML. What can't be read is among the problems; nothing is raised."""
    try:
        root = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        return Document(None, None, (_syntax_problem(error),))
    if root is None:
        return Document(None, None, (Problem(1, "the file is empty"),))
    builder = _Builder()
    value = builder.build(root)
    return Document(value, root, tuple(builder.problems))


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        said = ", ".join(filter(None, (error.problem, error.context)))
        if "alias" in said:  # a glob written bare
            said += "; put quotes around a text that begins with *"
        mark = error.problem_mark
        return Problem(mark.line + 1, f"not valid YAML: {said}", mark.column + 1)
    return Problem(1, f"not valid YAML: {' '.join(str(error).split())}")


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, line_of(key)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, line_of(item)
    return None


def line_of(node: yaml.Node) -> int:
    """The line of the file that a node begins on, counted from 1."""
    line: int = node.start_mark.line
    return line + 1


@dataclass
class _Builder:
    """Turns nodes into values and collects what is wrong on the way."""

    problems: list[Problem] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)
    _loader: yaml.SafeLoader = field(default_factory=lambda: yaml.SafeLoader(""))

    def build(self, node: yaml.Node) -> Any:
        if id(node) in self._seen:
            return self._refuse(node, "an alias (*name) is not allowed: write the value out")
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            return [self.build(item) for item in node.value]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        return self._refuse(node, f"tag {node.tag!r} is not allowed")

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self.build(key_node)
            if not isinstance(key, str):
                self._refuse(key_node, f"a key must be text, not {key!r}")
            elif key in lines:
                self._refuse(key_node, f"duplicate key {key!r}: it is on line {lines[key]} too")
            else:
                lines[key] = line_of(key_node)
                values[key] = self.build(value_node)
        return values

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag in _TEXT:
            if not node.style and _NUMBER_IN_DISGUISE.fullmatch(node.value):
                said = f"YAML reads {node.value} as text; a number is written like 1.0e-05"
                return self._refuse(node, said)
            return node.value
        construct = _SCALARS.get(node.tag)
        if construct is None:
            return self._refuse(node, f"tag {node.tag!r} is not allowed")
        try:
            return construct(self._loader, node)
        except (ValueError, KeyError) as error:  # such as `!!int spam`
            return self._refuse(node, f"{node.value!r} is not what its tag says: {error}")

    def _refuse(self, node: yaml.Node, text: str) -> None:
        self.problems.append(Problem(line_of(node), text))
