"""`models.yaml` -> `Registry`, or one message that names everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from compat.registry.document import Document, Problem, read_document
from compat.registry.problems import place, unknown_key, validation_problems
from compat.registry.spec import Registry

SHOWN_PROBLEMS = 20

_ROWS_OF_SEVERAL_MODELS = ("model", "family")
_OWNERS: dict[str | int, str] = {"models": "model", "pairs": "pair"}
"""Lists whose entries have known failures of their own."""


class RegistryError(ValueError):
    """A registry that can't be used. Its text names every problem, one a line."""


def default_registry_path() -> Path:
    """`models.yaml` of this project."""
    return Path(__file__).resolve().parents[2] / "models.yaml"


def load_registry(path: Path) -> Registry:
    """Read and validate a registry. Raises RegistryError."""
    name = _shown_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RegistryError(f"{name}: no such registry file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"{name}: the registry can't be read: {error}") from error
    return parse_registry(text, name)


def parse_registry(text: str, name: str = "models.yaml") -> Registry:
    """Validate the text of a registry; `name` stands before the lines. Raises RegistryError."""
    document = read_document(text)
    problems = list(document.problems)
    if document.root is None:
        raise RegistryError(_message(problems, name))
    problems += _rule_problems(document)
    try:
        # As JSON, so that strict types hold ("12" is no number) and lists become tuples.
        given = json.dumps(_with_lines(document))
        registry = Registry.model_validate_json(given, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems += validation_problems(error, document)
        raise RegistryError(_message(problems, name)) from None
    if problems:
        raise RegistryError(_message(problems, name))
    return registry


def _message(problems: Iterable[Problem], name: str) -> str:
    ordered = sorted(set(problems), key=lambda problem: (problem.line, problem.text))
    lines = [problem.shown(name) for problem in ordered[:SHOWN_PROBLEMS]]
    if len(ordered) > SHOWN_PROBLEMS:
        lines.append(f"{name}: and {len(ordered) - SHOWN_PROBLEMS} more")
    return "\n".join(lines)


def _shown_path(path: Path) -> str:
    absolute = path.absolute()
    below = absolute.is_relative_to(Path.cwd())
    return str(absolute.relative_to(Path.cwd())) if below else str(path)


# Every line-carrying mapping: (its path, its value)
_Entry = tuple[tuple[str | int, ...], dict[str, Any]]


def _entries(value: Any, *path: str | int) -> Iterator[_Entry]:
    """The mappings in the list at the last key of `path`, `value` being what holds that key."""
    listed = value.get(path[-1]) if isinstance(value, dict) else None
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(item, dict):
            yield (*path, index), item


def _models(document: Document) -> Iterator[_Entry]:
    return _entries(document.value, "models")


def _pairs(document: Document) -> Iterator[_Entry]:
    return _entries(document.value, "pairs")


def _rows(document: Document) -> Iterator[_Entry]:
    """Every known failure: those of single models and of pairs first."""
    for path, entry in (*_models(document), *_pairs(document)):
        yield from _entries(entry, *path, "known_failures")
    yield from _entries(document.value, "known_failures")


def _with_lines(document: Document) -> Any:
    """The document's value, with `line` in every model, pair and known failure."""
    for path, entry in (*_models(document), *_pairs(document), *_rows(document)):
        entry["line"] = document.line(path)
    return document.value


def _rule_problems(document: Document) -> Iterator[Problem]:
    """What no single value shows: rules over several entries."""
    yield from _taken_names(document)
    yield from _wrong_pairs(document)
    for path, entry in (*_models(document), *_pairs(document), *_rows(document)):
        where = place(path, document)
        if "line" in entry:  # a field that reading sets: unknown to the file
            yield Problem(document.line((*path, "line")), f"{where}: {unknown_key('line', path)}")
        if path[0] in _OWNERS and len(path) > 2:
            for key in filter(entry.__contains__, _ROWS_OF_SEVERAL_MODELS):
                yield Problem(
                    document.line((*path, key)),
                    f"{where}: {key!r} belongs to the rows for several models, in the list "
                    f"'known_failures' at the top level; this row is about its own "
                    f"{_OWNERS[path[0]]}",
                )


def _taken_names(document: Document) -> Iterator[Problem]:
    """Ids, aliases and slugs share one name space, in which each names one model."""
    owners: dict[str, tuple[str | int, ...]] = {}
    for path, model in _models(document):
        for key, name in _names(model):
            owner = owners.setdefault(name, path)
            if owner != path:
                where = place(path, document)
                yield Problem(
                    document.line((*path, key)),
                    f"{where}: {key} {name!r} is taken by {place(owner, document)} "
                    f"on line {document.line(owner)}",
                )
                break  # one clash says it: those of the same entry follow from it


def _wrong_pairs(document: Document) -> Iterator[Problem]:
    """Ends that are no model's id, and pairs that are listed twice."""
    ids = [model["id"] for _, model in _models(document) if isinstance(model.get("id"), str)]
    listed: dict[tuple[Any, Any], tuple[str | int, ...]] = {}
    for path, pair in _pairs(document):
        where = place(path, document)
        ends = pair.get("source"), pair.get("target")
        for key, name in zip(("source", "target"), ends, strict=True):
            if isinstance(name, str) and name not in ids:
                near = get_close_matches(name, ids, n=1, cutoff=0.6)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                said = f"{where}: {key} {name!r} is no id of a model above{hint}"
                yield Problem(document.line((*path, key)), said)
        if all(isinstance(name, str) for name in ends):
            first = listed.setdefault(ends, path)
            if first != path:
                said = f"{where}: this pair is on line {document.line(first)} too"
                yield Problem(document.line(path), said)


def _names(model: dict[str, Any]) -> Iterator[tuple[str, str]]:
    identifier, aliases, slug = model.get("id"), model.get("aliases"), model.get("slug")
    if isinstance(identifier, str):
        yield "id", identifier
        slug = slug or identifier.rpartition("/")[2].lower()
    for alias in aliases if isinstance(aliases, list) else ():
        if isinstance(alias, str):
            yield "aliases", alias
    if isinstance(slug, str):
        yield "slug", slug
