"""Validation errors in the words of somebody who writes `models.yaml`."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from compat.registry.document import Document, Problem
from compat.registry.spec import ARROW, Registry

_EXPECTED = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
}


def validation_problems(error: ValidationError, document: Document) -> list[Problem]:
    """What pydantic found, each with its line and with what is allowed there."""
    return [
        Problem(document.line(details["loc"]), _text(details, document))
        for details in error.errors(include_url=False)
        if details["type"] != "default_factory_not_called"  # follows from another error
    ]


def place(path: tuple[str | int, ...], document: Document) -> str:
    """`models[4] (facebook/opt-125m) known_failures[0].raises`, empty at the top."""
    shown = ""
    for index, part in enumerate(path):
        shown += f"[{part}]" if isinstance(part, int) else f".{part}"
        if index == 1 and path[0] in _NAMED and isinstance(part, int):
            shown += f" ({_NAMED[path[0]](document.value, part)}) "
    return shown.replace(" .", " ").strip(" .")


def allowed_keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that a mapping at `path` may have; empty where they are free."""
    model: type[BaseModel] | None = Registry
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        model = _model_of(_annotation(model, part))
    return [] if model is None else list(_fields(model))


def unknown_key(key: str, path: tuple[str | int, ...]) -> str:
    """What is said of a key that the mapping at `path` does not have."""
    allowed = allowed_keys(path)
    return f"unknown key {key!r}{_near(key, allowed)} allowed: {', '.join(allowed)}"


def _text(details: ErrorDetails, document: Document) -> str:
    path = details["loc"]
    where = place(path[:-1], document)
    return f"{where}: {_said(details)}" if where else _said(details)


def _said(details: ErrorDetails) -> str:
    kind, path = details["type"], details["loc"]
    if not path:
        return "the file must be a mapping with the keys " + ", ".join(allowed_keys(()))
    name = _name(path)
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), path[:-1])
    if kind == "missing":
        return f"missing key {name}"
    if kind == "value_error":
        return f"{name}: {details['ctx']['error']}"
    given = _shortened(details["input"])
    if kind in ("literal_error", "enum"):
        allowed = _choices(details)
        near = _near(details["input"], allowed)
        return f"{name}: unknown value {given}{near} allowed: {', '.join(allowed)}"
    return f"{name} {_EXPECTED.get(kind) or _in_pydantics_words(details)}, not {given}"


def _name(path: tuple[str | int, ...]) -> str:
    last = path[-1]
    return f"item {last}" if isinstance(last, int) else repr(last)


def _in_pydantics_words(details: ErrorDetails) -> str:
    return details["msg"].replace("Input should", "must").replace("String should", "must")


def _choices(details: ErrorDetails) -> list[str]:
    """From pydantic's "False, 'auto' or <Gate.MANUAL: 'manual'>", in YAML's spelling."""
    expected: str = details["ctx"]["expected"]
    parts = re.split(", | or ", expected)
    quoted = [re.search("'(.*)'", part) for part in parts]
    return [
        part.lower() if found is None else found[1]
        for part, found in zip(parts, quoted, strict=True)
    ]


def _near(given: Any, allowed: list[str]) -> str:
    near = get_close_matches(str(given), allowed, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ";"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _model_id(value: Any, index: int) -> str:
    try:
        return str(value["models"][index]["id"])
    except (KeyError, IndexError, TypeError):
        return "no id"


def _pair_id(value: Any, index: int) -> str:
    try:
        return f"{value['pairs'][index]['source']}{ARROW}{value['pairs'][index]['target']}"
    except (KeyError, IndexError, TypeError):
        return "no pair"


_NAMED: dict[str | int, Callable[[Any, int], str]] = {"models": _model_id, "pairs": _pair_id}
"""Lists whose entries are told by more than their number."""


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {
        field.alias or name: field.annotation
        for name, field in model.model_fields.items()
        if not field.exclude
    }


def _annotation(model: type[BaseModel], key: str) -> Any:
    return _fields(model).get(key)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_of(argument) for argument in get_args(annotation))
    return next(filter(None, found), None)
