"""A load that several targets share stays on the shelf between them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, ExitStack
from typing import Any


class Shelf:
    """Holds one load, until another one is taken or it is cleared."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._key: Hashable | None = None
        self._load: Any = None

    def holds(self, key: Hashable) -> bool:
        """Whether the load of this key is here."""
        return self._key is not None and self._key == key

    def take(self, key: Hashable, load: Callable[[], AbstractContextManager[Any]]) -> Any:
        """What is here under this key, or what `load` gives; it stays here. Raises what it does."""
        if not self.holds(key):
            self.clear()
            self._load = self._stack.enter_context(load())
            self._key = key
        return self._load

    def clear(self) -> None:
        """Release what is here."""
        self._key = self._load = None
        stack, self._stack = self._stack, ExitStack()
        stack.close()
