"""A hub for these tests, and a cache of its own for each."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import ModelSpec
from compat.runner import CaseResult
from compat.targets import Weights
from compat.weights.hub import Access, Hub, Ledger
from compat.weights.local import local_spec
from compat.weights.twin import twin_checkpoint
from tests.hub.opening import Trial, outcome_of
from tests.hub.server import LoopbackHub, Repository
from tests.hub.workplace import Workplace

TWIN = "meta-llama/Llama-3.2-1B"
MODEL = "org/name"
TRIAL = frozenset(Trial.__dataclass_fields__)


def files_of(folder: Path) -> dict[str, bytes]:
    """A checkpoint folder as a repository holds it: the twin's own notes are none of it."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith("compat")
    }


def hub_entry(described: ModelSpec, **facts: object) -> ModelSpec:
    """A folder's description as an entry of a registry: trusted by nobody yet."""
    trust = {"trust_remote_code": False, "trust_pickle": False}
    return described.model_copy(update={"id": MODEL, "slug": "name"} | trust | facts)


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
    return hub_entry(local_spec(twin))


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


@pytest.fixture(autouse=True)
def modules_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """transformers copies remote code to a package on the path before it runs it."""
    from transformers import dynamic_module_utils

    usual = dynamic_module_utils.HF_MODULES_CACHE
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != usual])
    for name in remote_modules():
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in remote_modules():
        del sys.modules[name]


def remote_modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "transformers_modules"]


@pytest.fixture
def came_to(hub: LoopbackHub, client: Callable[..., Hub], described: ModelSpec):
    """What opening a repository with these files comes to; `facts` are the entry's."""

    def opened(
        files: dict[str, bytes], *, ask: Any = lambda subject: None, **options: Any
    ) -> CaseResult:
        trial = Trial(**{name: options.pop(name) for name in TRIAL & options.keys()})
        hub.repositories[MODEL] = Repository.of(files)
        entry = described.model_copy(update=options)
        run = client(allow_code=trial.trust, allow_pickle=trial.pickle)
        return outcome_of(entry, Weights.HUB, trial, trial.opening(run), ask)

    return opened


@pytest.fixture
def workplace(tmp_path: Path, hub: LoopbackHub, described: ModelSpec) -> Workplace:
    (tmp_path / "pytest.ini").write_text("[pytest]\ncompat_registry = models.yaml\n")
    (tmp_path / "test_suite.py").write_text("from compat.suite import test_check\n")
    made = Workplace(tmp_path, hub, described)
    made.register(MODEL)
    return made


@pytest.fixture
def closed_port() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
