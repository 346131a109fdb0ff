"""Entries of the real registry, and a cache of twins for this run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import ModelSpec

SPECS = {spec.slug: spec for spec in load_registry(default_registry_path()).models}
NATIVE = [spec for spec in SPECS.values() if spec.native]


@pytest.fixture
def spec_of() -> Callable[[str], ModelSpec]:
    return SPECS.__getitem__


@pytest.fixture(scope="module", params=[spec.slug for spec in NATIVE])
def native_spec(request: pytest.FixtureRequest) -> ModelSpec:
    return SPECS[request.param]


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("twins")


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
