"""The environment that results were made in, described without importing what is tested."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from typing import Any

from compat.results.record import EnvRecord, GpuRecord
from compat.targets.devices import Host

GIGABYTE = 1e9


def environment_record(host: Host, *, run: str, worker: str) -> EnvRecord:
    """Describe the environment of one process; its `id` says the same for the same facts."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "os": f"{platform.system()} {_numbers(platform.release())}",
        "cpu": host.cpu,
        "cpu_flags": host.cpu_flags,
        "cores": host.cores,
        "memory_gb": round(host.memory / GIGABYTE, 1),
        "gpus": tuple(
            GpuRecord(
                name=gpu.name,
                memory_gb=round(gpu.memory / GIGABYTE, 1),
                capability=".".join(map(str, gpu.capability)),
            )
            for gpu in host.gpus
        ),
        "cuda": host.torch_cuda,
        "packages": dict(host.packages),
    }
    return EnvRecord(run=run, worker=worker, id=_digest(facts), **facts)


def _numbers(release: str) -> str:
    """The numbers of a kernel's release; what follows them may be somebody's own name for it."""
    found = re.match(r"[\d.]+", release)
    return found.group().rstrip(".") if found else ""


def _digest(facts: dict[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, default=lambda value: value.model_dump())
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
