"""Tiny checkpoints, written once a session at the first request."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from compat.loading.loaded import Loaded
from compat.loading.release import release
from compat.targets import Mode
from tests.remote_code.builder import byte_tokenizer, write_checkpoint
from tests.unit.loading.tiny import load_folder, models


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder by the kind's name; written at the first request."""
    root = tmp_path_factory.mktemp("checkpoints")

    def folder(kind: str) -> Path:
        written = root / kind
        if not written.exists():
            if kind == "acorn":
                return write_checkpoint(written)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                models()[kind]().save_pretrained(written)
            byte_tokenizer().save_pretrained(written)
        return written

    return folder


@pytest.fixture
def damaged(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> Callable[[str, Callable[[dict[str, torch.Tensor]], None]], Path]:
    """A copy of a checkpoint whose tensors were changed by a function."""

    def copy(kind: str, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
        folder = shutil.copytree(checkpoints(kind), tmp_path / kind)
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return copy


@pytest.fixture
def loading() -> Iterator[Callable[..., Loaded]]:
    """`load_folder`, with a release of whatever it loaded at the end of the test."""
    loads: list[Loaded] = []

    def load_one(folder: Path, mode: Mode, **options: Any) -> Loaded:
        loads.append(load_folder(folder, mode, **options))
        return loads[-1]

    yield load_one
    for loaded in reversed(loads):
        release(loaded)
