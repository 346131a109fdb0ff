"""Checkpoints at full size with random weights, written file by file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from compat.outcomes import CannotRun, ReasonCode
from compat.registry.load import default_registry_path, load_registry
from compat.registry.spec import ModelSpec
from compat.weights.full import FullManifest, is_unfinished
from compat.weights.full import write as writing
from compat.weights.full.draw import draw
from compat.weights.full.outline import AUTO_CLASSES, Outline, stored_weights
from compat.weights.full.write import OccupiedFolderError, write_full
from compat.weights.local import NotACheckpointError, local_spec
from compat.weights.twin import twin_checkpoint
from compat.weights.twin.shrink import shrink

TINY = 100_000
"""Bytes of a file, so small that a small model needs several."""
REGISTRY = load_registry(default_registry_path())
FAMILIES = {spec.family: spec for spec in reversed(REGISTRY.models) if spec.native}
PLAIN = [name for name, spec in FAMILIES.items() if spec.checkpoint.quantization is None]
Usage = namedtuple("Usage", "total used free")


def small(spec: ModelSpec, **changes: object) -> ModelSpec:
    """An entry whose own full size is that of a twin."""
    shrunk = shrink(spec)
    config = {"model_type": shrunk.model_type, **shrunk.arguments}
    update = {"config": config, "config_fix": {}, **changes}
    return spec.model_copy(update=update)


MEASURED = """
import sys
from pathlib import Path
import torch
from compat.registry.load import default_registry_path, load_registry
from compat.subject.memory import peak_resident, reset_peak_resident
from compat.weights.full import write

torch.set_num_threads(1)
spec = load_registry(default_registry_path()).by_id("opt-125m")
write.write_full(spec, Path(sys.argv[1]) / "warm", file_bytes=50_000_000)  # libraries and twin
reset_peak_resident()
before = peak_resident()
written = write.write_full(spec, Path(sys.argv[1]) / "full", file_bytes=50_000_000)
print(written.size, peak_resident() - before)
"""
"""Prints the size of a checkpoint and by how much its writer's resident memory grew at most."""


@dataclass
class Disturbed:
    """Counts the files that are written, and has one of them fail."""

    fail_at: int
    error: BaseException
    written: int = 0

    def save(self, tensors, path, metadata):
        self.written += 1
        if self.written == self.fail_at:
            Path(path).write_bytes(b"half a file")
            raise self.error
        return self.real(tensors, path, metadata=metadata)

    real = staticmethod(writing.save_file)


@pytest.fixture(scope="module")
def mixtral() -> ModelSpec:
    return small(REGISTRY.by_id("mixtral-8x7b-v0.1"))


@pytest.fixture(scope="module")
def written(mixtral, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("full") / "mixtral"
    write_full(mixtral, folder, file_bytes=TINY)
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_checkpoint_is_split_into_files_and_loads_without_a_missing_key(written):
    files = sorted(written.glob("model-*.safetensors"))
    assert len(files) > 2
    assert sum(path.stat().st_size for path in files) > 4 * TINY
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        written, output_loading_info=True
    )
    assert not any(info.values())
    assert model.dtype is torch.bfloat16


def test_fused_experts_are_stored_one_by_one_as_on_the_hub(written):
    names = json.loads((written / "model.safetensors.index.json").read_text())["weight_map"]
    assert "model.layers.0.mlp.experts.gate_up_proj" not in names
    assert "model.layers.1.block_sparse_moe.experts.3.w1.weight" in names


def test_the_index_counts_every_byte(written):
    index = json.loads((written / "model.safetensors.index.json").read_text())
    stored = {}
    for file in written.glob("*.safetensors"):
        stored |= load_file(file)
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in stored.values())
    assert index["weight_map"].keys() == stored.keys()


def test_special_tokens_of_config_and_tokenizer_are_the_same(written):
    config = transformers.AutoConfig.from_pretrained(written)
    tokenizer = transformers.AutoTokenizer.from_pretrained(written)
    assert config.eos_token_id == tokenizer.eos_token_id
    assert len(tokenizer) <= config.vocab_size


def test_logits_are_finite(written):
    model = transformers.AutoModelForCausalLM.from_pretrained(written, dtype=torch.float16)
    tokenizer = transformers.AutoTokenizer.from_pretrained(written)
    with torch.no_grad():
        logits = model(**tokenizer("any text at all", return_tensors="pt")).logits
    assert logits.isfinite().all()
    assert logits.float().std() > 0


def test_the_same_call_gives_the_same_bytes(mixtral, written, tmp_path):
    write_full(mixtral, tmp_path / "again", file_bytes=TINY)
    assert bytes_of(tmp_path / "again") == bytes_of(written)


def test_an_interrupted_write_is_no_checkpoint_and_is_gone_on_with(
    mixtral, written, tmp_path, monkeypatch
):
    folder = tmp_path / "full"
    disturbed = Disturbed(fail_at=3, error=KeyboardInterrupt())
    monkeypatch.setattr(writing, "save_file", disturbed.save)
    with pytest.raises(KeyboardInterrupt):
        write_full(mixtral, folder, file_bytes=TINY)
    assert is_unfinished(folder)
    assert len(list(folder.glob("*.safetensors"))) == 2
    assert not list(folder.glob("*.unfinished"))
    with pytest.raises(NotACheckpointError, match=r"lacks weight files: .* go on"):
        local_spec(folder)

    done = write_full(mixtral, folder, file_bytes=TINY)
    assert done.kept == 2
    assert disturbed.written == 3 + done.files - 2
    assert bytes_of(folder) == bytes_of(written)


def test_one_file_lacks_nothing_but_itself_while_it_is_written(mixtral, tmp_path, monkeypatch):
    folder = tmp_path / "full"
    monkeypatch.setattr(writing, "save_file", Disturbed(1, KeyboardInterrupt()).save)
    with pytest.raises(KeyboardInterrupt):
        write_full(mixtral, folder)
    with pytest.raises(NotACheckpointError, match=r"lacks weight files: model\.safetensors"):
        local_spec(folder)
    write_full(mixtral, folder)
    assert not (folder / "model.safetensors.index.json").exists()
    assert local_spec(folder).parameters == FullManifest.read(folder).parameters


def test_a_file_that_was_cut_short_is_written_anew(mixtral, written, tmp_path):
    folder = tmp_path / "full"
    shutil.copytree(written, folder)
    cut = sorted(folder.glob("*.safetensors"))[1]
    cut.write_bytes(cut.read_bytes()[:-100])
    done = write_full(mixtral, folder, file_bytes=TINY)
    assert done.kept == done.files - 1
    assert bytes_of(folder) == bytes_of(written)


def test_a_disk_without_room_is_said_before_anything_is_written(mixtral, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 5_000_000))
    with pytest.raises(CannotRun, match=r"and 1\.0 GB to spare; the disk has 0\.005 GB") as found:
        write_full(mixtral, tmp_path / "full")
    assert found.value.reason.code is ReasonCode.DISK_FULL
    assert not (tmp_path / "full").exists()


def test_a_folder_with_something_else_is_left_alone(mixtral, written, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OccupiedFolderError, match="is not empty"):
        write_full(mixtral, tmp_path)
    with pytest.raises(OccupiedFolderError, match="holds another checkpoint"):
        write_full(mixtral, written, file_bytes=2 * TINY)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_stored_format_that_is_not_plain_is_said_to_be_none_that_is_written(tmp_path):
    with pytest.raises(CannotRun, match="stored as mxfp4"):
        write_full(REGISTRY.by_id("gpt-oss-20b"), tmp_path / "full")


def test_a_model_without_a_class_in_transformers_has_none_to_be_built_from(tmp_path):
    with pytest.raises(CannotRun, match="transformers has no class"):
        write_full(REGISTRY.by_id("chatglm3-6b"), tmp_path / "full")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_weight_is_drawn_as_its_class_draws_it(family):
    """One weight at a time on `meta` gives what building the whole model on the CPU gives."""
    spec = FAMILIES[family]
    auto_class = getattr(transformers, AUTO_CLASSES[spec.model_class])
    config = shrink(spec).config()
    with torch.random.fork_rng(), torch.device("cpu"):
        torch.manual_seed(0)
        whole = auto_class.from_config(config)
    with torch.device("meta"):
        outline = auto_class.from_config(shrink(spec).config())
    for name, expected in stored_weights(whole).items():
        drawn = draw(outline, name, whole)
        assert drawn.isfinite().all(), name
        assert_drawn_alike(name, drawn, expected)
    assert all(parameter.is_meta for parameter in outline.parameters())


def assert_drawn_alike(name: str, drawn: torch.Tensor, expected: torch.Tensor) -> None:
    """Constants are equal; of random values the spread is, as far as so few of them tell."""
    if expected.unique().numel() == 1:
        woken = drawn.dim() > 1 and not expected.any() and "bias" not in name
        assert woken or torch.equal(drawn, expected), name
        return
    if expected.numel() < 100:
        return
    assert drawn.std().item() == pytest.approx(expected.std().item(), rel=0.2), name
    assert abs(drawn.mean() - expected.mean()) < 0.2 * expected.std() + 1e-6, name


@pytest.mark.parametrize("family", sorted(PLAIN))
def test_a_checkpoint_holds_as_many_numbers_as_the_registry_says(family):
    spec = FAMILIES[family]
    outline = Outline.of(spec, twin_checkpoint(spec).folder, 10**9)
    assert outline.parameters == spec.parameters
    assert max(map(outline.file_size, outline.files)) <= max(
        10**9, *(weight.nbytes for weight in outline.weights.values())
    )


def test_no_more_than_one_file_is_in_memory_at_a_time(tmp_path):
    """The whole takes 250 MB, its largest tensor 77 MB; no file is larger than that."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    size, grown = map(int, done.stdout.split())
    assert size == 2 * 125_239_296
    assert grown < 130_000_000
