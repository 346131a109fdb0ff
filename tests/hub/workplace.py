"""A project of its own: a registry, a hub, an empty cache, and runs of pytest and compat in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.registry.spec import ModelSpec
from compat.registry.write import entry_text
from tests.hub.server import LoopbackHub

SECONDS = 240


@dataclass
class Workplace:
    """A project with a registry of its own, a hub, and an empty cache."""

    path: Path
    hub: LoopbackHub
    described: ModelSpec

    def register(self, *names: str, **facts: Any) -> None:
        """Write a registry of models that are all described as the twin."""
        named = [{"id": name, "slug": slug(name)} | facts for name in names]
        self.write(*(self.described.model_copy(update=update) for update in named))

    def write(self, *specs: ModelSpec) -> None:
        """Write a registry of these models."""
        entries = "\n".join(map(entry_text, specs))
        (self.path / "models.yaml").write_text(f"schema: 1\nmodels:\n{entries}")

    def pytest(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._run("-m", "pytest", "-p", "no:cacheprovider", *arguments, **environment)

    def compat(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = "import sys; from compat.cli import main; sys.argv[0] = 'compat'; main()"
        return self._run("-c", program, *arguments, **environment)

    def _run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name[:3] != "HF_"}
        own = {
            "HF_ENDPOINT": self.hub.endpoint,
            "HF_HOME": str(self.path / "hf-home"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.path,
            env=inherited | own | environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def cases(self) -> list[dict[str, Any]]:
        """The case records of the last run."""
        run = max((self.path / "reports" / "runs").iterdir(), key=lambda one: one.stat().st_mtime)
        lines = (line for file in run.glob("*.jsonl") for line in file.read_text().splitlines())
        return [record for record in map(json.loads, lines) if record["kind"] == "case"]

    def snapshots(self) -> list[str]:
        """What is in the cache: paths of snapshots' files."""
        cache = self.path / "hf-home" / "hub"
        return [str(path.relative_to(cache)) for path in cache.glob("*/snapshots/*/*")]


def slug(name: str) -> str:
    return name.rpartition("/")[2]
