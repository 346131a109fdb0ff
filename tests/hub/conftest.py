"""A hub for these tests, and a cache of its own for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import ModelSpec
from compat.weights.hub import Access, Hub, Ledger
from compat.weights.local import local_spec
from compat.weights.twin import twin_checkpoint
from tests.hub.server import LoopbackHub, Repository

TWIN = "meta-llama/Llama-3.2-1B"
MODEL = "org/name"


def files_of(folder: Path) -> dict[str, bytes]:
    """A checkpoint folder as a repository holds it: the twin's own notes are none of it."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith("compat")
    }


@pytest.fixture(scope="session")
def twin() -> Path:
    """The folder of a taught twin."""
    return twin_checkpoint(load_registry(default_registry_path()).by_id(TWIN)).folder


@pytest.fixture(scope="session")
def checkpoint(twin: Path) -> dict[str, bytes]:
    """The files of a taught twin."""
    return files_of(twin)


@pytest.fixture(scope="session")
def described(twin: Path) -> ModelSpec:
    """The twin as an entry of a registry would describe it."""
    return local_spec(twin).model_copy(update={"id": MODEL, "slug": "name"})


@pytest.fixture
def hub(checkpoint: dict[str, bytes]) -> Iterator[LoopbackHub]:
    """A hub that serves one sound repository."""
    served = LoopbackHub()
    served.repositories[MODEL] = Repository.of(checkpoint)
    yield served
    served.close()


@pytest.fixture(autouse=True)
def without_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs these tests may be logged in to the real hub."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))


@pytest.fixture
def client(hub: LoopbackHub, tmp_path: Path) -> Callable[..., Hub]:
    """The hub as a run sees it; each call is a new run with the same cache."""

    def make(download: float | None = 1.0, **access: object) -> Hub:
        options = {"cache": tmp_path / "cache", "endpoint": hub.endpoint} | access
        said: list[str] = []
        made = Hub(
            Access(download=download, **options),
            ledger=Ledger(tmp_path / "downloads.log"),
            announce=said.append,
        )
        made.said = said
        return made

    return make
