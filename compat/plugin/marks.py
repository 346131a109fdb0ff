"""Marks: their registration, and mark and keyword expressions over cases that do not exist yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import pytest

# pytest has no public name for its expression language; to compile it ourselves would be to
# promise a second one.
from _pytest.mark.expression import Expression

from compat.checks.registry import Area
from compat.targets import Device, Mode, Weights
from compat.targets.plan import MULTI_GPU
from compat.targets.selection import SelectionError

COMPAT = "compat"
IDENTIFIER = re.compile(r"(?:\w|:|\+|-|\.|\[|\]|\\|/)+")
OPERATORS = frozenset({"and", "or", "not"})


def suite_marks() -> Iterator[tuple[str, str]]:
    """Every mark of the suite and what it stands for."""
    yield (
        f"{COMPAT}(modes=..., weights=..., models=...)",
        "run this test, which takes the `subject` fixture, over these targets only",
    )
    for mode in Mode:
        yield mode.mark, f"cases in mode {mode}"
    for device in Device:
        yield str(device), f"cases on the {device}"
    for weights in Weights:
        yield str(weights), f"cases with weights from: {weights}"
    for area in Area:
        yield str(area), f"checks of the area {area}"
    yield MULTI_GPU, "cases that spread a model over all visible GPUs"


def register(config: pytest.Config) -> None:
    """Register the suite's marks."""
    for name, meaning in suite_marks():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def register_area(config: pytest.Config, area: str) -> None:
    """Register the mark of an area that a project has added."""
    if area not in set(Area):
        config.addinivalue_line("markers", f"{area}: checks of the area {area}")


def compile_expression(text: str, option: str) -> Expression:
    """Compile what `-m` or `-k` was given. Raises SelectionError, in pytest's own words."""
    try:
        return Expression.compile(text)
    except SyntaxError as error:
        raise SelectionError(f"Wrong expression passed to '{option}': {error}") from None


def names_in(text: str) -> frozenset[str]:
    """The identifiers of an expression."""
    return frozenset(IDENTIFIER.findall(text)) - OPERATORS


def mark_predicate(text: str, others: frozenset[str]) -> Callable[[frozenset[str]], bool]:
    """Whether `-m text` is true for a case with some marks besides `others`."""
    expression = compile_expression(text, "-m")

    def is_true(marks: frozenset[str]) -> bool:
        return expression.evaluate(
            lambda name, /, **arguments: not arguments and (name in marks or name in others)
        )

    return is_true


def keyword_predicate(
    text: str, others: Callable[[str], bool] = lambda word: False
) -> Callable[[Iterable[str]], bool]:
    """Whether `-k text` is true for an item of these names; `others` judges a word besides them."""
    expression = compile_expression(text, "-k")

    def is_true(names: Iterable[str]) -> bool:
        whole = "\0".join(names).lower()
        return expression.evaluate(
            lambda word, /, **named: not named and (word.lower() in whole or others(word))
        )

    return is_true
