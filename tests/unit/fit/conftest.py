"""Entries of the real registry, a cache of figures for this run, and twins loaded in a mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from compat.fit import Facts
from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import ModelSpec, Registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry(default_registry_path())


@pytest.fixture(scope="session")
def spec_of(registry: Registry) -> Callable[[str], ModelSpec]:
    return registry.by_id


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return Facts(tmp_path_factory.mktemp("fit"))


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
