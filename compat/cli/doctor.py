"""`compat doctor`: this machine as the suite sees it."""

from __future__ import annotations

import os
import platform
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from compat import __version__
from compat.cli.listing import what_blocks, wide_console
from compat.loading.reference_store import FOLDER, ReferenceStore
from compat.registry.load import default_registry_path, load_registry
from compat.results.redact import TOKEN_VARIABLES
from compat.targets import Weights
from compat.targets.devices import Host, this_host
from compat.targets.plan import plan_targets
from compat.weights.twin import default_cache

GIGABYTE = 1e9


def show_doctor(registry_file: Path | None) -> None:
    """Print what is here, then what is missing. Raises RegistryError."""
    host = this_host()
    console = wide_console()
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in facts(host):
        table.add_row(name, escape(value))
    console.print(table)
    registry = load_registry(registry_file or default_registry_path())
    twins = plan_targets(registry.models, weights=(Weights.CONFIG, Weights.TWIN))
    missing = Counter(filter(None, (what_blocks(planned, host) for planned in twins)))
    for reason, count in missing.most_common():
        console.print(f"twins blocked here: {count} targets: {escape(str(reason))}")
    if not missing:
        console.print("nothing that twins need is missing here")


def facts(host: Host) -> Iterator[tuple[str, str]]:
    """What is here, by name."""
    yield "compat", __version__
    yield "python", platform.python_version()
    yield from host.packages.items()
    yield "torch built for", f"CUDA {host.torch_cuda}" if host.torch_has_cuda else "CPU only"
    yield "cpu", f"{host.cpu}, {host.cores} cores, {', '.join(host.cpu_flags)}"
    yield "memory", f"{host.memory / GIGABYTE:.1f} GB"
    for gpu in host.gpus:
        yield "gpu", f"{gpu.name}, {gpu.memory / GIGABYTE:.1f} GB, bf16 {_yes(gpu.has_bf16)}"
    for why in host.left_out:
        yield "gpu", why
    if not host.gpus and not host.left_out:
        yield "gpu", "none"
    cache = default_cache()
    yield "twins", f"{_count(cache / 'models')} in {_shown(cache)}"
    references = ReferenceStore(cache / FOLDER)
    kept = f"{references.size() / GIGABYTE:.1f} of at most {references.largest / GIGABYTE:.0f} GB"
    yield "references", f"{len(references)}, {kept}, beside the twins; safe to delete"
    yield "disk left", f"{shutil.disk_usage(_existing(cache)).free / GIGABYTE:.1f} GB"
    yield "hub token", "set" if any(map(os.environ.get, TOKEN_VARIABLES)) else "not in environment"
    yield "hub offline", _yes(bool(os.environ.get("HF_HUB_OFFLINE")))


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _count(folder: Path) -> int:
    return sum(1 for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else 0


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _shown(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
