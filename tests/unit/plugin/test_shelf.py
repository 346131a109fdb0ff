from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from compat.plugin.shelf import Shelf


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def loads(log: list[str]) -> Callable[[str], Callable[[], AbstractContextManager[str]]]:
    def of(name: str) -> Callable[[], AbstractContextManager[str]]:
        @contextmanager
        def load() -> Iterator[str]:
            log.append(f"load {name}")
            yield name
            log.append(f"free {name}")

        return load

    return of


def test_what_is_taken_twice_is_loaded_once(loads, log):
    shelf = Shelf()
    assert [shelf.take("a", loads("a")) for _ in range(2)] == ["a", "a"]
    assert log == ["load a"]
    assert shelf.holds("a")


def test_another_load_frees_the_one_before_first(loads, log):
    shelf = Shelf()
    shelf.take("a", loads("a"))
    shelf.take("b", loads("b"))
    assert log == ["load a", "free a", "load b"]
    assert not shelf.holds("a")


def test_clearing_frees_once(loads, log):
    shelf = Shelf()
    shelf.take("a", loads("a"))
    shelf.clear()
    shelf.clear()
    assert log == ["load a", "free a"]
    assert not shelf.holds("a")
    assert not shelf.holds(None)


def test_a_load_that_fails_leaves_the_shelf_empty(loads, log):
    @contextmanager
    def fail() -> Iterator[str]:
        raise KeyError
        yield ""

    shelf = Shelf()
    shelf.take("a", loads("a"))
    with pytest.raises(KeyError):
        shelf.take("b", fail)
    assert log == ["load a", "free a"]
    assert not shelf.holds("b")
    assert shelf.take("a", loads("a")) == "a"
