"""Writes the checkpoint: random weights of a fixed seed, its code beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

REPOSITORY = Path(__file__).parent / "repository"
SEED = 20
CONFIG = {
    "model_type": "acorn",
    "architectures": ["AcornForCausalLM"],
    "auto_map": {
        "AutoConfig": "configuration_acorn.AcornConfig",
        "AutoModelForCausalLM": "modeling_acorn.AcornForCausalLM",
    },
    "vocab_size": 258,
    "hidden_size": 64,
    "num_layers": 3,
    "num_attention_heads": 4,
    "pad_token_id": 256,
    "eos_token_id": 257,
}


def write_checkpoint(folder: Path) -> Path:
    """Write a checkpoint of Acorn to `folder` and return it. Loading it runs the code in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in REPOSITORY.glob("*.py"):
        shutil.copy(source, folder)
    config_file = folder / "config.json"
    config_file.write_text(json.dumps(CONFIG))
    byte_tokenizer().save_pretrained(folder)
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=True)
    model.save_pretrained(folder)
    return folder


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of 256 byte tokens, a padding token and an end of text."""
    vocabulary = {
        letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
