"""What a target needs of the machine, judged before any loading.

Imports neither torch nor a package that it looks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from compat.outcomes import CannotRun, NotApplicable, Reason, ReasonCode
from compat.registry.spec import ModelSpec
from compat.targets import Device, Mode, Target, Weights
from compat.targets.capabilities import REAL
from compat.targets.devices import Gpu, Host
from compat.targets.packages import install_command, is_installed

Installed = Callable[[str], bool]

SEVERAL = 2
"""GPUs that mode `auto` needs: over one there is nothing to spread."""


def require(
    target: Target,
    spec: ModelSpec,
    host: Host,
    *,
    installed: Installed = is_installed,
) -> None:
    """Raise CannotRun with the first thing that is missing: device, packages.

    Where a checkpoint is, whether it may be read, and whether it fits, is judged later: that costs
    more to find out.
    """
    _require_meaning(target, spec)
    for reason in _missing(target, spec, host, installed):
        raise CannotRun(reason)


def _missing(target: Target, spec: ModelSpec, host: Host, installed: Installed) -> Iterator[Reason]:
    if target.device is Device.GPU:
        yield from _missing_gpu(target, host)
    for package in _packages(target, spec):
        if not installed(package):
            yield Reason(
                ReasonCode.MISSING_PACKAGE,
                f"the package {package} is not installed",
                f"run `{install_command(package)}`",
            )


def _require_meaning(target: Target, spec: ModelSpec) -> None:
    """Raise NotApplicable for a target that no machine could run."""
    if target.weights is Weights.CONFIG and not spec.native:
        raise NotApplicable("transformers has no class of its own for this model")
    stored = spec.checkpoint.quantization
    if target.weights in REAL and stored and target.mode.traits.quantization is not None:
        raise NotApplicable(f"{target.mode}, for the checkpoint is stored quantized ({stored})")


def _missing_gpu(target: Target, host: Host) -> Iterator[Reason]:
    if not host.gpus:
        yield Reason(
            ReasonCode.NO_GPU,
            "; ".join(["no GPU", *host.left_out]),
            "run on a machine with an NVIDIA GPU, or check CUDA_VISIBLE_DEVICES where there is one",
        )
    elif not host.torch_has_cuda:
        torch = host.packages.get("torch", "").partition("+")[0]
        pin = f"torch=={torch}" if torch else "torch"
        yield Reason(
            ReasonCode.TORCH_WITHOUT_CUDA,
            f"torch was built without CUDA; this machine has {host.gpus[0].name}",
            f"run `pip install --force-reinstall --index-url https://pypi.org/simple {pin}`",
        )
    elif target.mode is Mode.AUTO and len(host.gpus) < SEVERAL:
        yield Reason(
            ReasonCode.TOO_FEW_GPUS,
            f"one GPU ({host.gpus[0].name}), and this mode spreads a model over several",
            "run on a machine with two GPUs or more, or check CUDA_VISIBLE_DEVICES where there are;"
            " with one, mode cpu-offload runs what it can't hold",
        )
    else:
        for gpu in _used_gpus(target, host):
            if _computes_in_bf16(target) and not gpu.has_bf16:
                yield Reason(
                    ReasonCode.NO_BF16,
                    f"{gpu.name} has no bfloat16 (capability {gpu.capability[0]}."
                    f"{gpu.capability[1]}; 8.0 is the first that does)",
                    "choose mode fp16 or fp32, or run on a newer GPU",
                )


def _used_gpus(target: Target, host: Host) -> tuple[Gpu, ...]:
    return host.gpus if target.mode is Mode.AUTO else host.gpus[:1]


def _computes_in_bf16(target: Target) -> bool:
    traits = target.mode.traits
    return traits.dtype == "bfloat16" or traits.quantization is not None


def _packages(target: Target, spec: ModelSpec) -> Iterator[str]:
    """Distributions this target needs.

    What the entry requires is for real checkpoints: a twin has a tokenizer of its own and uses no
    image processor.
    """
    if target.mode is not Mode.META:
        yield "accelerate"
    if target.mode.traits.quantization is not None:
        yield "bitsandbytes"
    if target.weights in (Weights.HUB, Weights.LOCAL):
        yield from spec.requires
