"""What is missing is said before anything is loaded, the first thing first."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from compat.loading.requirements import require
from compat.outcomes import CannotRun, NotApplicable, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Device, Mode, Target, Weights
from compat.targets.devices import Gpu, Host
from compat.targets.packages import is_installed

NEW, OLD = Gpu("H200", 141 * 10**9, (9, 0)), Gpu("T4", 16 * 10**9, (7, 5))
WORKSTATION = Host(gpus=(NEW,), torch_cuda="13.0", packages={"torch": "2.13.0"})


def spec_of(**changes: Any) -> ModelSpec:
    facts: dict[str, Any] = {
        "id": "org/name",
        "family": "llama",
        "class": "causal-lm",
        "architecture": "LlamaForCausalLM",
        "config": {"model_type": "llama"},
        "blocks": {"count": 2, "class": "LlamaDecoderLayer", "path": "model.layers"},
        "widths": {"hidden": 64, "vocabulary": 258},
        "parameters": 1,
        "checkpoint": {"dtype": "bfloat16", "gb": 16.1, "license": "mit"},
        "tokenizer": "byte-level-bpe",
        "evidence": {"confidence": "memory"},
    }
    return ModelSpec(**(facts | changes))


def target_of(
    mode: Mode = Mode.FP32, device: Device = Device.CPU, weights: Weights = Weights.TWIN
) -> Target:
    return Target("org/name", "name", weights, device, mode)


def reason_for(
    target: Target,
    host: Host = WORKSTATION,
    spec: ModelSpec | None = None,
    lacking: tuple[str, ...] = (),
) -> Reason | None:
    try:
        require(target, spec or spec_of(), host, installed=lambda name: name not in lacking)
    except CannotRun as error:
        return error.reason
    return None


def code_for(*arguments: Any, **named: Any) -> ReasonCode | None:
    reason = reason_for(*arguments, **named)
    return None if reason is None else reason.code


@pytest.mark.parametrize("mode", Mode)
def test_a_laptop_needs_nothing_for_cpu_modes(mode: Mode) -> None:
    assert code_for(target_of(mode), Host()) is None


def test_no_gpu_and_a_torch_without_cuda_are_two_reasons() -> None:
    gpu = target_of(device=Device.GPU)
    assert code_for(gpu, Host()) is ReasonCode.NO_GPU
    assert code_for(gpu, Host(torch_cuda="13.0")) is ReasonCode.NO_GPU
    assert code_for(gpu, Host(gpus=(NEW,))) is ReasonCode.TORCH_WITHOUT_CUDA
    assert code_for(gpu, WORKSTATION) is None


def test_the_hint_installs_the_version_that_is_pinned() -> None:
    host = Host(gpus=(NEW,), packages={"torch": "2.13.0+cpu"})
    reason = reason_for(target_of(device=Device.GPU), host)
    assert reason is not None
    assert reason.action.endswith("torch==2.13.0`")
    assert "H200" in reason.text


@pytest.mark.parametrize("mode", [Mode.BF16, Mode.CPU_OFFLOAD, Mode.AUTO, Mode.NF4, Mode.INT8])
def test_modes_that_compute_in_bf16_need_a_gpu_that_does(mode: Mode) -> None:
    host = Host(gpus=(OLD, OLD), torch_cuda="13.0")
    assert code_for(target_of(mode, Device.GPU), host) is ReasonCode.NO_BF16
    assert code_for(target_of(Mode.FP16, Device.GPU), host) is None


def test_every_gpu_counts_where_all_are_used() -> None:
    mixed = Host(gpus=(NEW, OLD), torch_cuda="13.0")
    assert code_for(target_of(Mode.BF16, Device.GPU), mixed) is None
    assert code_for(target_of(Mode.AUTO, Device.GPU), mixed) is ReasonCode.NO_BF16


def test_one_gpu_is_too_few_to_spread_a_model_over() -> None:
    auto = target_of(Mode.AUTO, Device.GPU)
    assert code_for(auto, Host()) is ReasonCode.NO_GPU
    reason = reason_for(auto, WORKSTATION)
    assert reason is not None
    assert reason.code is ReasonCode.TOO_FEW_GPUS
    assert "cpu-offload runs what it can't hold" in reason.action
    assert code_for(auto, Host(gpus=(NEW, NEW), torch_cuda="13.0")) is None


def test_a_missing_package_comes_with_its_command() -> None:
    reason = reason_for(target_of(Mode.NF4), lacking=("bitsandbytes",))
    assert reason is not None
    assert reason.code is ReasonCode.MISSING_PACKAGE
    assert reason.action == "run `pip install bitsandbytes`"
    assert code_for(target_of(Mode.FP32), lacking=("bitsandbytes",)) is None


def test_packages_of_the_entry_count_for_real_checkpoints_only() -> None:
    spec = spec_of(requires=("pillow",))
    hub = target_of(weights=Weights.HUB)
    assert code_for(hub, spec=spec, lacking=("pillow",)) is ReasonCode.MISSING_PACKAGE
    assert code_for(target_of(), spec=spec, lacking=("pillow",)) is None


def test_the_device_comes_first_then_packages() -> None:
    gpu = target_of(device=Device.GPU, weights=Weights.HUB)
    missing = {"spec": spec_of(requires=("pillow",)), "lacking": ("pillow",)}
    assert code_for(gpu, Host(), **missing) is ReasonCode.NO_GPU
    assert code_for(gpu, **missing) is ReasonCode.MISSING_PACKAGE


def test_what_no_machine_could_run_is_not_applicable() -> None:
    stored = spec_of(
        checkpoint={"dtype": "mxfp4", "gb": 13.8, "license": "mit", "quantization": "mxfp4"}
    )
    with pytest.raises(NotApplicable, match="stored quantized"):
        require(target_of(Mode.NF4, weights=Weights.HUB), stored, WORKSTATION)
    assert code_for(target_of(Mode.NF4), spec=stored) is None, "its twin is stored in full"
    config = target_of(Mode.META, weights=Weights.CONFIG)
    with pytest.raises(NotApplicable, match="no class"):
        require(config, spec_of(native=False), WORKSTATION)


def test_packages_are_found_by_the_name_they_are_imported_under() -> None:
    assert is_installed("PyYAML")
    assert is_installed("pytest-html")
    assert not is_installed("no-such-distribution")


def test_judging_imports_nothing_that_is_judged() -> None:
    program = (
        "import sys; from compat.targets.packages import is_installed; is_installed('torch');"
        "is_installed('bitsandbytes');"
        "sys.exit(bool({'torch', 'transformers', 'bitsandbytes'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
