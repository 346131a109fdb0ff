"""What only loading finds out: a reason where somebody here can act, and else a failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compat.loading.load import LoadOptions
from compat.loading.open import Opening, open_subject
from compat.loading.requirements import Policy
from compat.outcomes import Outcome, ReasonCode, Stage
from compat.registry.spec import ModelClass, ModelSpec
from compat.runner import CaseResult, conclude, stage_reached
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import this_host
from compat.targets.packages import is_installed
from compat.weights.local import local_spec
from tests.hub.conftest import MODEL
from tests.hub.server import LoopbackHub, Repository

WEIGHTS = "model.safetensors"


@pytest.fixture
def spec(twin) -> ModelSpec:
    return local_spec(twin).model_copy(update={"id": MODEL, "slug": "name"})


@pytest.fixture(autouse=True)
def modules_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """transformers copies remote code to a package on the path before it runs it."""
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in remote_modules():
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in remote_modules():
        del sys.modules[name]


def remote_modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "transformers_modules"]


@pytest.fixture
def came_to(hub: LoopbackHub, client, spec: ModelSpec):
    """What opening a repository with these files comes to."""

    def opened(
        files: dict[str, bytes], *, trust: bool = False, attention: str = "sdpa", **facts: Any
    ) -> CaseResult:
        hub.repositories[MODEL] = Repository.of(files)
        entry = spec.model_copy(update=facts)
        opening = Opening(
            host=this_host(),
            policy=Policy(trust_remote_code=trust),
            options=LoadOptions(attention=attention, trust_remote_code=trust),
            hub=client(allow_code=trust),
        )
        target = Target(entry.id, entry.slug, Weights.HUB, Device.CPU, Mode.FP32)
        try:
            with open_subject(target, entry, opening):
                return conclude(None, Stage.CHECK)
        except Exception as error:
            return conclude(error, stage_reached(error, Stage.CHECK))

    return opened


def with_config(files: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    return files | {"config.json": json.dumps(json.loads(files["config.json"]) | changes).encode()}


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


@pytest.fixture
def acorn(checkpoint):
    """A repository of an architecture that comes with its code."""

    def made(code: str) -> dict[str, bytes]:
        auto_map = {"AutoConfig": "configuration_acorn.AcornConfig"}
        files = with_config(checkpoint, model_type="acorn", auto_map=auto_map)
        return files | {"configuration_acorn.py": code.encode()}

    return made


MARKER = "raise SystemExit('this code was run')"


@pytest.mark.parametrize("entry_says_so", [True, False])
def test_code_of_the_repository_is_not_run_without_consent(came_to, acorn, hub, entry_says_so):
    result = came_to(acorn(MARKER), native=False, remote_code=entry_says_so)
    assert result.reason is not None
    assert result.reason.code is ReasonCode.REMOTE_CODE
    assert "--compat-trust-remote-code" in result.reason.action
    assert not [request for request in hub.requests if request.path.endswith((".py", WEIGHTS))]


def test_code_for_another_transformers_says_which_name_is_gone(came_to, acorn):
    code = "from transformers import GoneInFive\nclass AcornConfig: pass\n"
    result = came_to(acorn(code), trust=True, native=False, remote_code=True)
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


def test_weights_of_a_stored_format_are_not_quantized_once_more(spec):
    from compat.targets.plan import plan_targets

    stored = spec.checkpoint.model_copy(update={"quantization": "gptq"})
    entry = spec.model_copy(update={"checkpoint": stored})
    for weights in (Weights.HUB, Weights.LOCAL):
        modes = {one.target.mode for one in plan_targets([entry], weights=[weights])}
        assert Mode.NATIVE in modes
        assert not modes & {Mode.INT8, Mode.NF4, Mode.FP4}
    plain = {one.target.mode for one in plan_targets([spec], devices=[Device.CPU])}
    assert Mode.NATIVE not in plain
