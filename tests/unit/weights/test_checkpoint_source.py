"""A checkpoint is found in a cache or a folder, or the reason says what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Device, Mode, Shape, Target, Weights
from compat.weights.consent import Policy
from compat.weights.hub import Access, Hub, Wanted
from compat.weights.source import find_checkpoint

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 258,
}
COMMIT = "a" * 40


@pytest.fixture
def spec() -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "id": "org/name",
            "family": "llama",
            "class": "causal-lm",
            "architecture": "LlamaForCausalLM",
            "config": CONFIG,
            "blocks": {"count": 2, "class": "LlamaDecoderLayer", "path": "model.layers"},
            "widths": {"hidden": 64, "vocabulary": 258},
            "parameters": 1,
            "checkpoint": {"dtype": "bfloat16", "gb": 16.1, "license": "mit"},
            "tokenizer": "byte-level-bpe",
            "evidence": {"confidence": "memory"},
        }
    )


def write(folder: Path, config: dict[str, Any] = CONFIG) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text("{}")
    save_file({"weight": torch.zeros(2)}, folder / "model.safetensors")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of the hub that holds org/name."""
    repository = tmp_path / "hub" / "models--org--name"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    write(repository / "snapshots" / COMMIT)
    return tmp_path / "hub"


def snapshot(cache: Path) -> Path:
    return cache / "models--org--name" / "snapshots" / COMMIT


def target_of(weights: Weights) -> Target:
    return Target("org/name", "name", weights, Device.CPU, Mode.FP32)


def reason_from_hub(spec: ModelSpec, cache: Path) -> Reason:
    with pytest.raises(CannotRun) as caught:
        Hub(Access(cache=cache)).snapshot(Wanted.of(spec))
    return caught.value.reason


def reason_from_folder(spec: ModelSpec, folder: Path) -> Reason:
    with pytest.raises(CannotRun) as caught:
        find_checkpoint(target_of(Weights.LOCAL), spec, local={"org/name": folder})
    return caught.value.reason


def test_a_cached_snapshot_is_found_with_its_commit_and_shape(spec: ModelSpec, cache: Path) -> None:
    checkpoint = find_checkpoint(target_of(Weights.HUB), spec, hub=Hub(Access(cache=cache)))
    assert checkpoint.folder == snapshot(cache)
    assert checkpoint.revision == COMMIT
    assert checkpoint.weights is Weights.HUB
    assert checkpoint.lesson is None
    assert checkpoint.shape == Shape(2, 64, 258, heads=4, key_value_heads=2, head=16)


def test_what_is_not_cached_says_its_size_and_the_command(spec: ModelSpec, tmp_path: Path) -> None:
    reason = reason_from_hub(spec, tmp_path)
    assert reason.code is ReasonCode.NOT_DOWNLOADED
    assert reason.text == "not downloaded (16.1 GB)"
    assert reason.action == "add --compat-download"


def test_a_pinned_revision_is_not_replaced_by_another(spec: ModelSpec, cache: Path) -> None:
    facts = spec.checkpoint.model_copy(update={"revision": "b" * 40})
    pinned = spec.model_copy(update={"checkpoint": facts})
    assert reason_from_hub(pinned, cache).code is ReasonCode.NOT_DOWNLOADED


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_snapshot_that_lacks_a_file_is_incomplete(
    spec: ModelSpec, cache: Path, lost: str
) -> None:
    (snapshot(cache) / lost).unlink()
    assert reason_from_hub(spec, cache).code is ReasonCode.INCOMPLETE_DOWNLOAD


def test_a_snapshot_that_lacks_a_shard_is_incomplete(spec: ModelSpec, cache: Path) -> None:
    shards = {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = snapshot(cache) / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    reason = reason_from_hub(spec, cache)
    assert reason.code is ReasonCode.INCOMPLETE_DOWNLOAD
    assert "model-00002-of-00002.safetensors" in reason.text


def test_a_tree_that_lists_a_missing_file_makes_a_snapshot_incomplete(
    spec: ModelSpec, cache: Path
) -> None:
    """huggingface_hub keeps what the repository holds beside what it has downloaded."""
    from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

    entries = {
        name: TreeCacheEntry(size=1, blob_id="b", lfs_sha256=None, lfs_size=None, xet_hash=None)
        for name in ("config.json", "model.safetensors", "tokenizer.json")
    }
    write_tree_cache(str(cache / "models--org--name"), COMMIT, entries)
    assert reason_from_hub(spec, cache).code is ReasonCode.INCOMPLETE_DOWNLOAD


def test_pickled_weights_are_refused_without_consent(spec: ModelSpec, tmp_path: Path) -> None:
    folder = write(tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    reason = reason_from_folder(spec, folder)
    assert reason.code is ReasonCode.PICKLE_WEIGHTS
    assert "pytorch_model.bin (sha256 " in reason.text
    allowed = find_checkpoint(
        target_of(Weights.LOCAL),
        spec,
        local={"org/name": folder},
        policy=Policy(allow_pickle=True),
    )
    assert allowed.folder == folder


def test_a_folder_is_checked_before_it_is_loaded(spec: ModelSpec, tmp_path: Path) -> None:
    complete = write(tmp_path / "complete")
    found = find_checkpoint(target_of(Weights.LOCAL), spec, local={"org/name": complete})
    assert (found.folder, found.revision) == (complete, None)

    without_weights = shutil.copytree(complete, tmp_path / "empty")
    (without_weights / "model.safetensors").unlink()
    (without_weights / "training_args.bin").touch()
    assert "no weights" in reason_from_folder(spec, without_weights).text
    (without_weights / "config.json").unlink()
    assert "config.json" in reason_from_folder(spec, without_weights).text
    assert "no folder" in reason_from_folder(spec, tmp_path / "nowhere").text


def test_a_folder_without_a_tokenizer_says_how_to_get_one_there(spec, tmp_path) -> None:
    folder = write(tmp_path / "mine")
    (folder / "tokenizer_config.json").unlink()
    reason = reason_from_folder(spec, folder)
    assert reason.text == "mine is no complete checkpoint: it holds no tokenizer"
    assert ".save_pretrained(FOLDER)" in reason.action


def test_a_config_of_remote_code_is_read_without_running_it(
    spec: ModelSpec, tmp_path: Path
) -> None:
    config = {
        "model_type": "acorn",
        "auto_map": {"AutoConfig": "configuration_acorn.AcornConfig"},
        "hidden_size": 64,
        "num_layers": 3,
        "num_attention_heads": 4,
        "vocab_size": 258,
    }
    folder = write(tmp_path / "acorn", config)
    (folder / "configuration_acorn.py").write_text("raise SystemExit('this code was run')")
    found = find_checkpoint(target_of(Weights.LOCAL), spec, local={"org/name": folder})
    assert found.shape.blocks == 3


def test_looking_into_the_cache_imports_no_torch(cache: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from compat.weights.hub import Hub;"
        "from compat.weights.source import find_checkpoint;"
        "from huggingface_hub import snapshot_download; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
