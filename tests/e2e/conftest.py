"""A project of its own for each test: a registry of two models, four checks, and a fake loader.

What the fake loader and the checks do is written in `behave.json`: `{"target or check": "verb"}`.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import compat.cli
import compat.plugin
from compat.checks.registry import load_catalogue
from compat.registry.load import default_registry_path

# pytester forgets, after a run in this process, the modules that were first imported in it; a
# module that two runs share must not be imported twice.
load_catalogue()
for package in (compat.plugin, compat.cli):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

HERE = Path(__file__).parent
MODELS = ("openai-community/gpt2", "meta-llama/Llama-3.2-1B")
SUITE = "from compat.suite import test_check\n"
SECONDS_TO_GIVE_UP = 240
"""After so long a run hangs, on a busy machine too."""


@dataclass
class Project:
    """A folder with a suite in it."""

    pytester: pytest.Pytester

    @property
    def path(self) -> Path:
        return self.pytester.path

    def behave(self, **verbs: str) -> None:
        (self.path / "behave.json").write_text(json.dumps(verbs))

    def registry(self, pairs: Sequence[tuple[str, str]] = (), **changes: Any) -> None:
        """Write models.yaml: two entries of the real one, changed by slug, and pairs of them."""
        real = yaml.safe_load(default_registry_path().read_text())
        chosen = [model for model in real["models"] if model["id"] in MODELS]
        for model in chosen:
            model.pop("known_failures", None)
            model.update(changes.get(model["id"].rpartition("/")[2].lower().replace("-", "_"), {}))
        listed = [{"source": source, "target": target} for source, target in pairs]
        content = {"schema": 1, "models": chosen, "pairs": listed}
        text = yaml.safe_dump(content, sort_keys=False)
        (self.path / "models.yaml").write_text(text)

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest here, in this process."""
        return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    def run_cached(self, *arguments: str) -> pytest.RunResult:
        """The same, with pytest's cache."""
        return self.pytester.runpytest_inprocess(*arguments)

    def run_apart(self, *arguments: str, through: Sequence[str] = ()) -> pytest.RunResult:
        """Run pytest in a process of its own, which `through` may start."""
        command = (*through, sys.executable, "-m", "pytest", *arguments)
        return self.pytester.run(*command, timeout=SECONDS_TO_GIVE_UP)

    def loads(self) -> Counter[str]:
        """How often the fake loader has loaded each target."""
        log = self.path / "loads.log"
        return Counter(log.read_text().split()) if log.exists() else Counter()

    def records(self, kind: str = "case") -> list[dict[str, Any]]:
        """The records of one kind, of all runs."""
        lines = [
            json.loads(line)
            for file in sorted((self.path / "reports" / "runs").rglob("*.jsonl"))
            for line in file.read_text().splitlines()
        ]
        return [line for line in lines if line["kind"] == kind]

    def outcomes(self) -> dict[str, str]:
        """Case id -> outcome."""
        return {record["case"]: record["outcome"] for record in self.records()}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    pytester.makeini(
        "[pytest]\nstrict_markers = true\nstrict_parametrization_ids = true\n"
        "compat_registry = models.yaml\naddopts = -ra\n"
    )
    pytester.makeconftest((HERE / "fake_loader.py").read_text())
    pytester.makepyfile(test_suite=SUITE)
    made = Project(pytester)
    made.registry()
    made.behave()
    return made
