"""A registry of two models, small enough to count its lines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat.registry import Registry, RegistryError, parse_registry

TWO_MODELS = """\
schema: 1
models:
  - id: acme/oak-1b
    aliases: [oak]
    family: oak
    class: causal-lm
    architecture: LlamaForCausalLM
    config: {model_type: llama, hidden_size: 64}
    blocks: {count: 2, class: LlamaDecoderLayer, path: model.layers}
    widths: {hidden: 64, vocabulary: 256, heads: 4, key_value_heads: 2, head: 16}
    parameters: 1000
    checkpoint: {dtype: float32, gb: 0.1, license: mit}
    tokenizer: byte-level-bpe
    evidence: {confidence: verified}
  - id: acme/pine-2b
    family: pine
    class: causal-lm
    architecture: LlamaForCausalLM
    config: {model_type: llama, hidden_size: 128}
    blocks: {count: 4, class: LlamaDecoderLayer, path: model.layers}
    widths: {hidden: 128, vocabulary: 256, heads: 4, key_value_heads: 4, head: 32}
    parameters: 2000
    checkpoint: {dtype: float32, gb: 0.2, license: mit}
    tokenizer: byte-level-bpe
    evidence: {confidence: verified}
"""


@pytest.fixture
def two_models() -> str:
    return TWO_MODELS


@pytest.fixture
def complaints() -> Callable[[str], list[str]]:
    """What is said of a registry's text, a line each; fails where nothing is."""

    def complaints_of(text: str) -> list[str]:
        with pytest.raises(RegistryError) as caught:
            parse_registry(text)
        return str(caught.value).splitlines()

    return complaints_of


@pytest.fixture
def registry_with(two_models: str) -> Callable[..., Registry]:
    """The registry of two models with rows: the first model's own, and those for several."""

    def build(own: str = "", shared: str = "") -> Registry:
        evidence = "    evidence: {confidence: verified}\n"
        text = two_models
        if own:
            text = text.replace(evidence, f"{evidence}    known_failures:\n{own}", 1)
        if shared:
            text += f"known_failures:\n{shared}"
        return parse_registry(text)

    return build
