"""What only loading finds out: a reason where somebody here can act, and else a failure."""

from __future__ import annotations

import pytest

from compat.outcomes import Outcome, ReasonCode
from compat.registry.spec import ModelClass
from compat.targets import Device, Mode, Weights
from compat.targets.packages import is_installed
from tests.hub.opening import with_config
from tests.hub.server import COMMIT

WEIGHTS = "model.safetensors"


def test_a_sound_repository_is_opened(came_to, checkpoint):
    assert came_to(checkpoint).outcome is Outcome.PASSED


def test_a_repository_whose_weights_are_damaged_fails_loudly(came_to, checkpoint):
    result = came_to(checkpoint | {WEIGHTS: b"\xff" * 20_000})
    assert result.outcome is Outcome.FAILED
    assert type(result.exception).__name__ == "SafetensorError"


def test_weights_that_do_not_fill_the_model_fail_and_are_named(came_to, checkpoint):
    result = came_to(with_config(checkpoint, num_hidden_layers=3))
    assert result.outcome is Outcome.FAILED
    assert "model.layers.2." in str(result.exception)


def test_a_config_that_is_no_json_fails_loudly(came_to, checkpoint):
    assert came_to(checkpoint | {"config.json": b"{"}).outcome is Outcome.FAILED


def test_the_registrys_wrong_class_is_the_suites_error(came_to, checkpoint):
    result = came_to(checkpoint, model_class=ModelClass.SEQ2SEQ)
    assert result.outcome is Outcome.ERROR
    assert "is said to be of class seq2seq" in str(result.exception)
    assert "it does as causal-lm" in str(result.exception)


def test_code_for_another_transformers_says_which_name_is_gone(came_to, checkpoint, described):
    code = b"from transformers import GoneInFive\nclass AcornConfig: pass\n"
    auto_map = {"AutoConfig": "configuration_acorn.AcornConfig"}
    files = with_config(checkpoint, model_type="acorn", auto_map=auto_map)
    pinned = described.checkpoint.model_copy(update={"revision": COMMIT})
    result = came_to(
        files | {"configuration_acorn.py": code},
        trust=True,
        native=False,
        trust_remote_code=True,
        checkpoint=pinned,
    )
    assert result.reason is not None
    assert result.reason.code is ReasonCode.VERSION_TOO_NEW
    assert "needs GoneInFive" in result.reason.text
    assert "config.json names" in result.reason.action


OPTIONAL = ("causal-conv1d", "einops", "flash-attn", "kernels", "mamba-ssm", "pillow",
            "sentencepiece", "tiktoken", "timm")  # fmt: skip


@pytest.mark.parametrize("package", OPTIONAL)
def test_a_package_of_the_entry_is_missed_before_anything_is_asked(
    came_to, checkpoint, hub, package
):
    if is_installed(package):
        pytest.skip(f"{package} is installed here")
    result = came_to(checkpoint, requires=(package,))
    assert result.reason is not None
    assert result.reason.code is ReasonCode.MISSING_PACKAGE
    assert result.reason.action.startswith(f"run `pip install {package}")
    assert hub.requests == []


def test_an_attention_that_needs_a_package_names_it(came_to, checkpoint):
    if is_installed("flash-attn"):
        pytest.skip("flash-attn is installed here")
    result = came_to(checkpoint, attention="flash_attention_2")
    assert result.reason is not None
    assert result.reason.code is ReasonCode.MISSING_PACKAGE
    assert "pip install flash-attn" in result.reason.action


def test_weights_of_a_stored_format_are_not_quantized_once_more(described):
    from compat.targets.plan import plan_targets

    stored = described.checkpoint.model_copy(update={"quantization": "gptq"})
    entry = described.model_copy(update={"checkpoint": stored})
    for weights in (Weights.HUB, Weights.LOCAL):
        modes = {one.target.mode for one in plan_targets([entry], weights=[weights])}
        assert Mode.NATIVE in modes
        assert not modes & {Mode.INT8, Mode.NF4, Mode.FP4}
    plain = {one.target.mode for one in plan_targets([described], devices=[Device.CPU])}
    assert Mode.NATIVE not in plain
