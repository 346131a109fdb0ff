"""Weights that are stored quantized are known by their config, before they are loaded."""

from __future__ import annotations

import pytest

from compat.outcomes import Outcome, ReasonCode
from compat.targets import Device, Mode, Weights
from compat.targets.packages import is_installed
from compat.targets.plan import plan_targets
from compat.weights.hub import Wanted
from compat.weights.hub.describe import hub_spec
from tests.hub.conftest import MODEL
from tests.hub.opening import with_config
from tests.hub.server import Repository

WEIGHTS = "model.safetensors"
BITSANDBYTES = (Mode.INT8, Mode.NF4, Mode.FP4)

FORMATS = {
    "gptq": {"bits": 4, "group_size": 128, "desc_act": False, "sym": True},
    "awq": {"bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"},
    "mxfp4": {"modules_to_not_convert": ["lm_head"]},
    "compressed-tensors": {"format": "pack-quantized", "config_groups": {}},
    "hqq": {"quant_config": {}},
    "aqlm": {"in_group_size": 8},
}
MISSING = {
    "gptq": "optimum",
    "awq": "gptqmodel",
    "compressed-tensors": "compressed-tensors",
    "hqq": "hqq",
    "aqlm": "aqlm",
}
"""The first package that each needs, and that is not among what is tested."""


@pytest.fixture(params=FORMATS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stored(checkpoint: dict[str, bytes], method: str) -> dict[str, bytes]:
    return with_config(checkpoint, quantization_config={"quant_method": method, **FORMATS[method]})


@pytest.mark.parametrize("device", Device)
def test_native_is_a_mode_of_theirs_and_bitsandbytes_is_none(hub, client, stored, method, device):
    hub.repositories[MODEL] = Repository.of(stored)
    spec = hub_spec(client(), Wanted(MODEL))
    assert spec.checkpoint.quantization == method
    modes = {
        planned.target.mode
        for planned in plan_targets([spec], weights=[Weights.HUB], devices=[device])
    }
    assert Mode.NATIVE in modes
    assert modes.isdisjoint(BITSANDBYTES)
    assert not [request for request in hub.requests
                if request.path.endswith(WEIGHTS) and request.method == "GET"
                and request.span is None], "headers tell"  # fmt: skip


@pytest.mark.parametrize("mode", BITSANDBYTES)
def test_bitsandbytes_on_top_does_not_apply(came_to, stored, described, method, mode):
    facts = described.checkpoint.model_copy(update={"quantization": method})
    result = came_to(stored, mode=mode, checkpoint=facts)
    assert result.outcome is Outcome.SKIPPED
    assert result.reason.code is ReasonCode.NOT_APPLICABLE
    assert f"stored quantized ({method})" in result.reason.text


def test_a_package_that_is_missing_is_named_with_its_command_before_the_weights(
    came_to, stored, described, hub, method
):
    package = MISSING.get(method)
    if package is None or is_installed(package):
        pytest.skip(f"{method} needs nothing that is missing here")
    facts = described.checkpoint.model_copy(update={"quantization": method})
    result = came_to(stored, mode=Mode.NATIVE, checkpoint=facts)
    assert result.reason.code is ReasonCode.MISSING_PACKAGE
    assert result.reason.action == f"run `pip install {package}`"
    assert not [request for request in hub.requests if request.path.endswith(WEIGHTS)]


def test_a_format_that_nobody_knows_fails_and_is_named(came_to, checkpoint):
    stored = with_config(checkpoint, quantization_config={"quant_method": "tomorrows"})
    result = came_to(stored, mode=Mode.FP32)
    assert result.outcome is Outcome.FAILED
    assert "does not know quant_method 'tomorrows'" in str(result.exception)
