"""The structure check passes on true facts, and names every fact that is made false."""

from __future__ import annotations

from typing import Any

import pytest

from compat.checks.registry import CATALOGUE
from compat.checks.structure import structure_matches_registry
from compat.outcomes import CannotRun, ReasonCode
from compat.registry import ModelSpec, Registry, default_registry_path, load_registry
from compat.targets import Mode, Weights


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(default_registry_path())


class Entry:
    """The subject of the check: a registry entry, and what was measured on it."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.measures: dict[str, Any] = {}

    def measure(self, name: str, value: float | int | str | bool | list[float] | None) -> None:
        self.measures[name] = value


def complaint(spec: ModelSpec) -> str:
    with pytest.raises(AssertionError) as caught:
        structure_matches_registry(Entry(spec))
    # Where pytest has rewritten the check's assertions, it adds what it compared.
    return str(caught.value).partition("\nassert ")[0]


def changed(spec: ModelSpec, part: str, **facts: Any) -> ModelSpec:
    return spec.model_copy(update={part: getattr(spec, part).model_copy(update=facts)})


LLAMA = "hf-internal-testing/tiny-random-LlamaForCausalLM"
T5 = "google-t5/t5-small"
GEMMA = "google/gemma-3-4b-pt"
JAMBA = "ai21labs/AI21-Jamba-1.5-Mini"


@pytest.mark.parametrize(
    "name",
    [
        LLAMA,
        T5,
        GEMMA,
        JAMBA,
        "facebook/opt-350m",
        "tiiuae/falcon-7b",
        "deepseek-ai/DeepSeek-V2-Lite",
        "state-spaces/mamba-130m-hf",
        "databricks/dbrx-base",
    ],
)
def test_true_facts_pass_and_are_measured(registry: Registry, name: str) -> None:
    entry = Entry(registry.by_id(name))
    structure_matches_registry(entry)
    assert entry.measures["parameters"] == entry.spec.parameters
    assert entry.measures["build_seconds"] > 0


@pytest.mark.parametrize(
    ("name", "part", "facts", "said"),
    [
        (
            LLAMA,
            "blocks",
            {"count": 3},
            "decoder blocks: the registry says 3, transformers builds 2",
        ),
        (LLAMA, "blocks", {"path": "model.h"}, "decoder path: the registry says model.h"),
        (LLAMA, "blocks", {"block_class": "Block"}, "decoder block class: the registry says Block"),
        (
            LLAMA,
            "widths",
            {"hidden": 32},
            "hidden width: the registry says 32, transformers builds 16",
        ),
        (LLAMA, "widths", {"vocabulary": 99}, "vocabulary: the registry says 99"),
        (LLAMA, "widths", {"heads": 2}, "heads: the registry says 2, transformers builds 4"),
        (LLAMA, "widths", {"key_value_heads": 2}, "key-value heads: the registry says 2"),
        (LLAMA, "widths", {"head": 8}, "head width: the registry says 8, transformers builds 4"),
        (T5, "encoder", {"count": 5}, "encoder blocks: the registry says 5, transformers builds 6"),
        (T5, "encoder", {"path": "decoder.block"}, "encoder path: the registry says decoder.block"),
        (GEMMA, "vision", {"count": 26}, "vision blocks: the registry says 26"),
        (GEMMA, "vision", {"block_class": "Block"}, "vision block class: the registry says Block"),
        (
            JAMBA,
            "blocks",
            {"block_class": "JambaMambaDecoderLayer"},
            "transformers builds JambaAttentionDecoderLayer+JambaMambaDecoderLayer",
        ),
    ],
    ids=lambda value: value.rpartition("/")[2] if isinstance(value, str) else "-".join(value),
)
def test_a_false_fact_is_named_with_both_values(
    registry: Registry, name: str, part: str, facts: dict[str, Any], said: str
) -> None:
    assert said in complaint(changed(registry.by_id(name), part, **facts))


def test_a_false_parameter_count_is_named(registry: Registry) -> None:
    spec = registry.by_id(LLAMA)
    text = complaint(spec.model_copy(update={"parameters": spec.parameters + 1}))
    assert text == "parameters: the registry says 1032273, transformers builds 1032272"


def test_a_false_architecture_is_named(registry: Registry) -> None:
    spec = registry.by_id(LLAMA).model_copy(update={"architecture": "MistralForCausalLM"})
    assert "architecture: the registry says MistralForCausalLM" in complaint(spec)


def test_a_stack_that_the_registry_lacks_is_named(registry: Registry) -> None:
    spec = registry.by_id(T5).model_copy(update={"encoder": None})
    assert complaint(spec) == "encoder blocks: the registry says None, transformers builds 6"


def test_a_stack_that_the_model_lacks_is_named(registry: Registry) -> None:
    spec = registry.by_id(LLAMA)
    text = complaint(spec.model_copy(update={"vision": spec.blocks}))
    assert text == "vision blocks: the registry says 2, transformers builds None"


def test_every_false_fact_is_named_at_once(registry: Registry) -> None:
    spec = changed(registry.by_id(LLAMA), "widths", hidden=32, head=8)
    assert len(complaint(spec).split("; ")) == 2


def test_a_config_that_shrinks_the_model_is_seen(registry: Registry) -> None:
    spec = registry.by_id(LLAMA)
    fewer = spec.model_copy(update={"config": {**spec.config, "num_hidden_layers": 1}})
    text = complaint(fewer)
    assert "decoder blocks: the registry says 2, transformers builds 1" in text
    assert "parameters:" in text


def test_a_model_without_a_class_of_its_own_is_not_judged(registry: Registry) -> None:
    with pytest.raises(CannotRun) as caught:
        structure_matches_registry(Entry(registry.by_id("zai-org/chatglm3-6b")))
    assert caught.value.reason.code is ReasonCode.REMOTE_CODE
    assert "transformers has no class of its own" in caught.value.reason.text
    assert caught.value.reason.action


def test_it_runs_once_a_model_on_the_config_alone() -> None:
    check = CATALOGUE["structure_matches_registry"]
    assert check.per == "model"
    assert check.applies(Mode.META, Weights.CONFIG)
    assert not check.applies(Mode.FP32, Weights.TWIN)
