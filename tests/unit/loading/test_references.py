"""What a mode is compared with: computed once, kept within bounds, and missing for a reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from compat.loading import reference as reference_module
from compat.loading.loaded import LoadOptions
from compat.loading.reference import References, key_of, reference_target
from compat.loading.reference_store import ReferenceStore
from compat.outcomes import CannotRun, NotApplicable, ReasonCode
from compat.targets import Checkpoint, Device, Mode, Shape, Target, Weights
from compat.weights.local import local_spec
from tests.unit.loading.tiny import target_of

RUN = {"logits": torch.eye(3), "block.0": torch.ones(3, 2)}


@pytest.fixture
def store(tmp_path: Path) -> ReferenceStore:
    return ReferenceStore(tmp_path / "references")


def opened(folder: Path):
    spec = local_spec(folder)
    shape = Shape(spec.blocks.count, spec.widths.hidden, spec.widths.vocabulary)
    return spec, Checkpoint(folder, Weights.LOCAL, shape)


def asking(folder: Path, mode: Mode):
    """What a subject of that folder knows when it asks for its reference."""
    spec, checkpoint = opened(folder)
    return SimpleNamespace(target=target_of(spec, mode), spec=spec, checkpoint=checkpoint)


# The store


def test_many_ask_and_one_makes(store):
    made, together = [], threading.Barrier(4)

    def ask(_: int) -> bool:
        together.wait()
        found, is_new = store.read_or_make("key", lambda: made.append(1) or RUN)
        assert torch.equal(found["logits"], RUN["logits"])
        return is_new

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [False, False, False, True]
    assert len(made) == 1


def test_a_writer_that_is_killed_leaves_nothing_under_the_key(store):
    program = (
        "import os, sys, torch\nfrom pathlib import Path\n"
        "from compat.loading.reference_store import ReferenceStore\n"
        "Path.replace = lambda *_: os._exit(9)\n"
        "ReferenceStore(Path(sys.argv[1])).read_or_make('key', lambda: {'logits': torch.eye(3)})"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(store.folder)], timeout=60)
    assert killed.returncode == 9
    assert any(store.folder.iterdir())
    assert store.read("key") is None
    assert len(store) == 0
    assert store.read_or_make("key", lambda: RUN)[1]
    assert [path.suffix for path in store.folder.iterdir() if path.suffix != ".lock"] == [
        ".safetensors"
    ]


def test_a_maker_that_fails_leaves_nothing_and_the_next_one_tries(store):
    def fail():
        raise MemoryError

    with pytest.raises(MemoryError):
        store.read_or_make("key", fail)
    assert store.size() == 0
    assert store.read_or_make("key", lambda: RUN)[1]


def test_what_cannot_be_read_is_made_anew(store):
    store.read_or_make("key", lambda: RUN)
    (store.folder / "key.safetensors").write_bytes(b"torn")
    assert store.read_or_make("key", lambda: RUN)[1]
    assert not store.read_or_make("key", lambda: RUN)[1]


def test_the_least_recently_used_go_when_it_grows_too_large(store):
    store.read_or_make("a", lambda: RUN)
    bounded = replace(store, largest=2 * store.size())
    bounded.read_or_make("b", lambda: RUN)
    for age, key in enumerate(("b", "a")):
        os.utime(store.folder / f"{key}.safetensors", (1000 + age, 1000 + age))
    assert store.read("b") is not None
    bounded.read_or_make("c", lambda: RUN)
    assert [key for key in "abc" if store.read(key)] == ["b", "c"]
    assert bounded.size() <= bounded.largest


def test_one_that_is_larger_than_the_bound_is_kept_until_the_next(store):
    narrow = replace(store, largest=1)
    narrow.read_or_make("a", lambda: RUN)
    assert narrow.read("a") is not None
    narrow.read_or_make("b", lambda: RUN)
    assert narrow.read("a") is None


# Which reference


@pytest.mark.parametrize(
    ("weights", "device", "mode", "expected"),
    [
        (Weights.TWIN, Device.CPU, Mode.NF4, (Mode.FP32, Device.CPU)),
        (Weights.TWIN, Device.GPU, Mode.NF4, (Mode.FP32, Device.CPU)),
        (Weights.TWIN, Device.CPU, Mode.DISK_OFFLOAD, (Mode.FP32, Device.CPU)),
        (Weights.TWIN, Device.GPU, Mode.CPU_OFFLOAD, (Mode.BF16, Device.GPU)),
        (Weights.LOCAL, Device.CPU, Mode.INT8, (Mode.BF16, Device.CPU)),
        (Weights.HUB, Device.GPU, Mode.FP16, (Mode.BF16, Device.GPU)),
        (Weights.HUB, Device.GPU, Mode.AUTO, (Mode.BF16, Device.GPU)),
        (Weights.LOCAL, Device.CPU, Mode.DISK_OFFLOAD, (Mode.FP32, Device.CPU)),
    ],
)
def test_quantized_weights_are_compared_with_wide_ones_and_offloaded_with_resident(
    weights, device, mode, expected
):
    wanted = reference_target(Target("org/name", "name", weights, device, mode, "adaptive"))
    assert (wanted.mode, wanted.device) == expected
    assert wanted.wrapper == "bare"


def test_the_key_is_that_of_the_content_and_of_how_it_is_loaded(checkpoints, tmp_path):
    spec, checkpoint = opened(checkpoints("llama"))
    target = target_of(spec, Mode.BF16)
    key = key_of(target, spec, checkpoint, LoadOptions())

    moved = Path(shutil.copytree(checkpoint.folder, tmp_path / "moved"))
    assert key_of(target, spec, replace(checkpoint, folder=moved), LoadOptions()) == key

    others = {
        key_of(replace(target, mode=Mode.FP32), spec, checkpoint, LoadOptions()),
        key_of(target, spec, checkpoint, LoadOptions(attention="eager")),
    }
    for name, change in {
        "config.json": lambda content: content.replace(b"}", b" }"),
        "tokenizer.json": lambda content: content + b"\n",
        "model.safetensors": lambda content: content[:-1] + b"\1",
    }.items():
        changed = Path(shutil.copytree(checkpoint.folder, tmp_path / name))
        (changed / name).write_bytes(change((changed / name).read_bytes()))
        others.add(key_of(target, spec, replace(checkpoint, folder=changed), LoadOptions()))
    assert len(others - {key}) == 5


def test_a_reference_is_loaded_once_for_all_modes_and_runs(checkpoints, store):
    for expected in (1, 0):
        found = References(store, LoadOptions())
        subject = asking(checkpoints("llama"), Mode.INT8)
        run = found.provider(subject.spec)(subject)
        assert (run.name, run.loads) == ("bf16 on cpu", expected)
        assert run.logits.shape[0] == run.blocks[0].shape[0]
        assert len(run.blocks) == 2


def test_what_a_reference_mode_has_run_is_kept_and_spares_the_load(checkpoints, store):
    references = References(store, LoadOptions())
    bf16, nf4 = (asking(checkpoints("llama"), mode) for mode in (Mode.BF16, Mode.NF4))
    references.keep(bf16)
    assert len(store) == 0, "nothing was run"
    bf16.run = SimpleNamespace(logits=RUN["logits"], blocks=(RUN["block.0"],))
    references.keep(bf16)
    found = references.of(nf4.target, nf4.spec, nf4.checkpoint)
    assert found.loads == 0
    assert torch.equal(found.logits, RUN["logits"])
    nf4.run = bf16.run
    references.keep(nf4)
    assert len(store) == 1, "nothing is compared with nf4"


def test_a_reference_is_not_compared_with_itself(checkpoints, store):
    subject = asking(checkpoints("llama"), Mode.BF16)
    with pytest.raises(NotApplicable, match="bf16 on cpu is what the other modes are compared"):
        References(store, LoadOptions()).of(subject.target, subject.spec, subject.checkpoint)


def test_where_it_cannot_be_loaded_there_is_none_here_and_it_is_tried_once(
    checkpoints, store, monkeypatch
):
    tried = []

    def too_large(*_: object) -> None:
        tried.append(1)
        raise RuntimeError("CUDA out of memory. Tried to allocate 14.00 GiB")

    monkeypatch.setattr(reference_module, "load", too_large)
    subject = asking(checkpoints("llama"), Mode.INT8)
    provider = References(store, LoadOptions()).provider(subject.spec)
    for _ in range(2):
        with pytest.raises(CannotRun) as caught:
            provider(subject)
        reason = caught.value.reason
        assert reason.code is ReasonCode.NO_REFERENCE
        assert "can't be run in bf16 on cpu to compare with: out of GPU memory" in reason.text
        assert reason.action.startswith("free the GPU")
    assert len(tried) == 1
    assert store.size() == 0


def test_a_reference_that_breaks_is_a_failure_and_no_skip(checkpoints, store, monkeypatch):
    def broken(*_: object) -> None:
        raise KeyError("model.layers.0")

    monkeypatch.setattr(reference_module, "load", broken)
    subject = asking(checkpoints("llama"), Mode.INT8)
    with pytest.raises(KeyError):
        References(store, LoadOptions()).provider(subject.spec)(subject)
