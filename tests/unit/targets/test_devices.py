"""The machine is described without torch, as CUDA would see it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compat.targets import devices
from compat.targets.devices import Gpu, Host, this_host, torch_cuda_version
from compat.targets.gpus import free_gpu_memory, visible_gpus


@dataclass(frozen=True)
class Card:
    uuid: str
    name: str = "NVIDIA A100"
    memory: int = 40 * 2**30
    capability: tuple[int, int] = (8, 0)
    refuses: str = ""
    """The function of NVML that does not work for it."""


class FakeNvmlError(Exception):
    pass


class FakeNvml:
    """What of pynvml is used, over a list of cards and MIG instances."""

    NVMLError = FakeNvmlError

    def __init__(self, *cards: Card) -> None:
        self.cards = [card for card in cards if not card.uuid.startswith("MIG-")]
        self.instances = {card.uuid: card for card in cards}

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
        return self._allowed(self.cards[index], "handle")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Card:  # noqa: N802
        if uuid not in self.instances:
            raise FakeNvmlError("Not Found")
        return self.instances[uuid]

    def _allowed(self, card: Card, what: str) -> Card:
        if card.refuses == what:
            raise FakeNvmlError("Not Supported")
        return card

    def nvmlDeviceGetUUID(self, card: Card) -> str:  # noqa: N802
        return self._allowed(card, "uuid").uuid

    def nvmlDeviceGetName(self, card: Card) -> bytes:  # noqa: N802
        return card.name.encode()

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Any:  # noqa: N802
        return SimpleNamespace(total=self._allowed(card, "memory").memory, free=card.memory // 2)

    def nvmlDeviceGetCudaComputeCapability(self, card: Card) -> tuple[int, int]:  # noqa: N802
        return self._allowed(card, "capability").capability


NVML = FakeNvml(
    Card("GPU-aaa1", "first"),
    Card("GPU-aab2", "second", capability=(7, 5)),
    Card("GPU-ccc3", "third"),
    Card("MIG-9", "slice", memory=10 * 2**30),
)


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["first", "second", "third"]),
        ("", []),
        ("-1", []),
        ("2,0", ["third", "first"]),
        (" 1 , 2", ["second", "third"]),
        ("0,7,1", ["first"]),
        ("0,0", []),
        ("GPU-ccc3,GPU-aab", ["third", "second"]),
        ("GPU-aa", []),
        ("MIG-9", ["slice"]),
        ("MIG-gone", []),
        ("MIG-9,MIG-gone,0", ["slice"]),
        ("none", []),
    ],
)
def test_visible_gpus_are_those_that_cuda_would_show(visible: str | None, names: list[str]) -> None:
    assert [gpu.name for gpu in visible_gpus(NVML, visible)] == names


def test_a_gpu_carries_what_requirements_ask() -> None:
    first, second, _ = visible_gpus(NVML, None)
    assert first == Gpu("first", 40 * 2**30, (8, 0))
    assert first.has_bf16
    assert not second.has_bf16


@pytest.mark.parametrize("refuses", ["handle", "memory", "capability"])
def test_a_gpu_that_can_not_be_described_is_left_out_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    nvml = FakeNvml(Card("GPU-a", "a"), Card("GPU-b", "b", refuses=refuses), Card("GPU-c", "c"))
    assert [(gpu.name, gpu.position) for gpu in visible_gpus(nvml, None)] == [("a", 0), ("c", 2)]
    assert [gpu.name for gpu in visible_gpus(nvml, "2,1")] == ["c"]
    assert free_gpu_memory(nvml, None) == (20 * 2**30,) * 2

    monkeypatch.setattr(devices, "nvml_session", lambda: nullcontext(nvml))
    host = this_host({})
    assert [gpu.name for gpu in host.gpus] == ["a", "c"]
    assert host.left_out == ("GPU 1 is left out: NVML says Not Supported",)


def test_a_gpu_that_does_not_tell_its_uuid_has_no_name_to_be_chosen_by() -> None:
    nvml = FakeNvml(Card("GPU-a", "a", refuses="uuid"), Card("GPU-b", "b"))
    assert [gpu.name for gpu in visible_gpus(nvml, "GPU-b,GPU-a")] == ["b"]
    assert [gpu.name for gpu in visible_gpus(nvml, "0")] == ["a"]


def test_a_driver_that_does_not_count_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()

    def refuse() -> int:
        raise FakeNvmlError("No Permission")

    monkeypatch.setattr(nvml, "nvmlDeviceGetCount", refuse)
    assert visible_gpus(nvml, None) == ()


@pytest.mark.parametrize(
    ("line", "cuda"),
    [
        ("cuda: Optional[str] = None", None),
        ("cuda: Optional[str] = '13.0'", "13.0"),
        ("cuda = '12.8'", "12.8"),
        ("hip = '6.3'", None),
    ],
)
def test_the_build_of_torch_is_read_as_text(tmp_path: Path, line: str, cuda: str | None) -> None:
    file = tmp_path / "version.py"
    file.write_text(f"from typing import Optional\n__version__ = '2.13.0'\n{line}\n")
    assert torch_cuda_version(file) == cuda


def test_no_torch_is_no_cuda(tmp_path: Path) -> None:
    assert torch_cuda_version(None) is None
    assert torch_cuda_version(tmp_path / "version.py") is None


def test_this_machine_agrees_with_torch() -> None:
    import torch

    host = this_host()
    assert host.torch_cuda == torch.version.cuda
    assert host.packages["torch"] == torch.__version__
    assert (len(host.gpus) if host.torch_has_cuda else 0) == torch.cuda.device_count()
    has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    assert ("avx512f" in host.cpu_flags) >= has_avx512
    assert host.memory > 2**28
    assert host.cores >= 1


def test_hidden_gpus_are_no_gpus() -> None:
    assert this_host({"CUDA_VISIBLE_DEVICES": ""}).gpus == ()


def test_describing_the_machine_imports_no_torch() -> None:
    program = (
        "import sys; from compat.targets.devices import this_host; this_host();"
        "sys.exit(bool({'torch', 'transformers', 'bitsandbytes'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_description_names_nobody() -> None:
    import getpass
    import socket

    shown = repr(this_host())
    assert socket.gethostname() not in shown
    assert getpass.getuser() not in shown.split()
    assert str(Path.home()) not in shown


def test_a_gpu_is_usable_with_a_torch_that_was_built_for_it() -> None:
    gpu = Gpu("a", 1, (9, 0))
    assert Host(gpus=(gpu,), torch_cuda="13.0").gpu_usable
    assert not Host(gpus=(gpu,)).gpu_usable
    assert not Host(torch_cuda="13.0").gpu_usable
