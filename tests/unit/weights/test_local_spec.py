"""A checkpoint folder is described without a registry, without torch, without running its code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from compat.registry.spec import ModelClass, TokenizerKind
from compat.weights.local import NotACheckpointError, local_spec

LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 258,
}


def write(folder: Path, config: dict[str, Any], tokenizer: str = "BPE") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": tokenizer}}))
    tensors = {"a": torch.zeros(8, 4, dtype=torch.bfloat16), "b": torch.zeros(3)}
    tensors["c"] = torch.zeros(2, 2, dtype=torch.bfloat16)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_a_folder_says_what_a_registry_would(tmp_path: Path) -> None:
    spec = local_spec(write(tmp_path / "My Llama_v1", LLAMA))
    assert (spec.id, spec.slug) == ("local/My-Llama_v1", "my-llama-v1")
    assert (spec.family, spec.architecture) == ("llama", "LlamaForCausalLM")
    assert spec.model_class is ModelClass.CAUSAL_LM
    assert (spec.blocks.count, spec.widths.hidden, spec.widths.vocabulary) == (2, 64, 258)
    assert (spec.widths.heads, spec.widths.key_value_heads, spec.widths.head) == (4, 2, 16)
    assert spec.parameters == 32 + 3 + 4
    assert spec.checkpoint.dtype == "bfloat16"
    assert spec.native


@pytest.mark.parametrize(
    ("config", "model_class"),
    [
        (LLAMA | {"is_encoder_decoder": True, "num_layers": 2}, ModelClass.SEQ2SEQ),
        (
            {"model_type": "gemma3", "text_config": LLAMA, "vision_config": {"num_layers": 1}},
            ModelClass.IMAGE_TEXT,
        ),
    ],
)
def test_the_class_is_read_from_the_shape_of_the_config(
    tmp_path: Path, config: dict[str, Any], model_class: ModelClass
) -> None:
    assert local_spec(write(tmp_path / "model", config)).model_class is model_class


def test_code_beside_a_native_model_is_not_needed(tmp_path: Path) -> None:
    code = {"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}}
    assert local_spec(write(tmp_path / "old", LLAMA | code)).native
    remote = local_spec(write(tmp_path / "remote", LLAMA | code | {"model_type": "acorn"}))
    assert not remote.native


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("Unigram", TokenizerKind.UNIGRAM), ("BPE", TokenizerKind.SENTENCEPIECE_BPE)],
)
def test_the_kind_of_tokenizer_is_read_from_its_file(
    tmp_path: Path, kind: str, expected: TokenizerKind
) -> None:
    assert local_spec(write(tmp_path / kind, LLAMA, kind)).tokenizer is expected


def test_numbers_left_to_the_class_are_looked_up(tmp_path: Path) -> None:
    spec = local_spec(write(tmp_path / "gpt2", {"model_type": "gpt2"}))
    assert (spec.blocks.count, spec.widths.hidden) == (12, 768)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "no JSON"),
        (lambda folder: (folder / "config.json").write_text("{}"), "no model_type"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "nothing-known"}'),
            "can't be read",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "no safetensors"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64),
            "no safetensors file",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "model-2.safetensors"}}'
            ),
            "lacks weight files: model-2",
        ),
    ],
)
def test_what_is_no_checkpoint_is_said_clearly(tmp_path: Path, damage: Any, message: str) -> None:
    folder = write(tmp_path / "model", LLAMA)
    damage(folder)
    with pytest.raises(NotACheckpointError, match=message):
        local_spec(folder)
    with pytest.raises(NotACheckpointError, match="no folder"):
        local_spec(tmp_path / "nowhere")


def test_describing_a_folder_imports_no_torch(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", LLAMA)
    program = (
        "import sys; from pathlib import Path; from compat.weights.local import local_spec;"
        "local_spec(Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(folder)]
    assert subprocess.run(command, check=False).returncode == 0
