from __future__ import annotations

from dataclasses import dataclass

import pytest

from compat.registry.load import default_registry_path, load_registry
from compat.targets import Device, Kind, Mode, Weights
from compat.targets.plan import plan_cases, plan_targets

REGISTRY = load_registry(default_registry_path())
GPT2 = REGISTRY.by_id("gpt2")
T5 = next(spec for spec in REGISTRY.models if spec.model_class == "seq2seq")


@dataclass(frozen=True)
class FakeCheck:
    name: str = "answers"
    area: str = "forward"
    needs: frozenset[str] = frozenset()
    kind: Kind = Kind.MODEL

    def applies(self, mode: Mode, weights: Weights) -> bool:
        return (mode is Mode.META) == (weights is Weights.CONFIG)


def ids(targets):
    return [planned.target.load_part for planned in targets]


def test_a_model_comes_with_its_facts_then_its_twin_then_its_checkpoint_fp32_first():
    parts = ids(plan_targets([GPT2]))
    assert parts[:3] == ["gpt2-config-cpu-meta", "gpt2-twin-cpu-fp32", "gpt2-twin-cpu-bf16"]
    assert parts[-1] == "gpt2-hub-gpu-fp4"
    kinds = [part.split("-")[1] for part in parts]
    assert kinds == sorted(kinds, key=["config", "twin", "hub"].index)


def test_models_come_in_registry_order():
    order = [planned.target.model for planned in plan_targets(REGISTRY.models)]
    assert list(dict.fromkeys(order)) == [spec.id for spec in REGISTRY.models]


def test_every_target_has_an_id_of_its_own():
    parts = ids(plan_targets(REGISTRY.models))
    assert len(parts) == len(set(parts))


def test_a_model_is_planned_in_the_modes_of_its_entry_only():
    spec = GPT2.model_copy(update={"modes": ("fp32", "auto")})
    assert ids(plan_targets([spec], weights=(Weights.TWIN,))) == [
        "gpt2-twin-cpu-fp32",
        "gpt2-twin-gpu-fp32",
        "gpt2-twin-gpu-auto",
    ]


def test_loading_as_stored_means_nothing_for_a_twin():
    modes = {
        planned.target.mode
        for planned in plan_targets([GPT2], weights=(Weights.TWIN,), devices=(Device.GPU,))
    }
    assert Mode.NATIVE not in modes
    assert Mode.AUTO in modes


def test_a_checkpoint_stored_quantized_is_not_quantized_again_but_its_twin_is():
    stored = GPT2.checkpoint.model_copy(update={"quantization": "mxfp4"})
    spec = GPT2.model_copy(update={"checkpoint": stored})
    parts = ids(plan_targets([spec]))
    assert "gpt2-hub-gpu-native" in parts
    assert "gpt2-hub-gpu-nf4" not in parts
    assert "gpt2-twin-gpu-nf4" in parts


@pytest.mark.parametrize(
    ("spec", "need", "makes_a_case"),
    [
        (GPT2, "decoder-only", True),
        (T5, "decoder-only", False),
        (T5, "encoder", True),
        (T5, "seq2seq", True),
        (GPT2, "vision", False),
        (GPT2, "quantized", False),
        (GPT2, "inputs-embeds", True),  # not known before the model is there
    ],
)
def test_a_capability_known_to_be_missing_makes_no_case(spec, need, makes_a_case):
    targets = [one for one in plan_targets([spec]) if one.target.mode is Mode.FP32]
    cases = list(plan_cases(targets, [FakeCheck(needs=frozenset({need}))]))
    assert bool(cases) == makes_a_case


def test_a_capability_of_the_mode_is_judged_by_target():
    targets = plan_targets([GPT2], weights=(Weights.TWIN,), devices=(Device.CPU,))
    cases = plan_cases(targets, [FakeCheck(needs=frozenset({"quantized"}))])
    assert [planned.target.mode for planned, _ in cases] == [Mode.INT8, Mode.NF4, Mode.FP4]


def test_an_unknown_chat_template_is_left_to_the_subject():
    unknown = GPT2.model_copy(update={"chat_template": None})
    without = GPT2.model_copy(update={"chat_template": False})
    check = FakeCheck(needs=frozenset({"chat-template"}))
    assert list(plan_cases(plan_targets([unknown]), [check]))
    assert not list(plan_cases(plan_targets([without]), [check]))
