"""What a checkpoint asks of this machine, told by its small files: judged before its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from compat.outcomes import CannotRun, Reason, ReasonCode
from compat.targets.packages import install_command, is_installed

Installed = Callable[[str], bool]

QUANTIZER_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "aqlm": ("aqlm",),
    "auto-round": ("auto-round",),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed-tensors",),
    "eetq": ("kernels",),
    "gptq": ("optimum", "gptqmodel"),
    "hqq": ("hqq",),
    "quanto": ("optimum-quanto",),
    "torchao": ("torchao",),
}
"""`quant_method` -> what transformers raises ImportError without. Some methods need nothing."""

TOKENIZER_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "*.model": ("sentencepiece", "protobuf"),
    "*.spm": ("sentencepiece",),
    "*.tiktoken": ("tiktoken",),
}
"""File that a tokenizer is read from, where there is no tokenizer.json -> what reads it."""

FAST_TOKENIZER = ("tokenizer.json",)


def refuse_unmet(folder: Path, runs_code: bool, installed: Installed | None = None) -> None:
    """Raise CannotRun for an architecture or a package that is missing here.

    `runs_code`: the model brings its own code along, and it is allowed to run. Reads
    files of the checkpoint and runs nothing of it.
    """
    config = _config(folder)
    _refuse_unknown(config, runs_code)
    for package in packages_needed(folder, runs_code=runs_code):
        if not (installed or is_installed)(package):
            raise CannotRun(
                Reason(
                    ReasonCode.MISSING_PACKAGE,
                    f"the package {package} is not installed",
                    f"run `{install_command(package)}`",
                )
            )


def is_foreign(folder: Path) -> bool:
    """Whether the checkpoint is of a class that transformers has not, and it brings along."""
    from transformers.models.auto.auto_mappings import CONFIG_MAPPING_NAMES  # imports no torch

    config = _config(folder)
    return "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING_NAMES


def _refuse_unknown(config: dict[str, Any], runs_code: bool) -> None:
    from transformers.models.auto.auto_mappings import CONFIG_MAPPING_NAMES  # imports no torch

    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type in CONFIG_MAPPING_NAMES or runs_code:
        return
    from importlib.metadata import version

    written = config.get("transformers_version")
    by = f"; the checkpoint was written by {written}" if isinstance(written, str) else ""
    raise CannotRun(
        Reason(
            ReasonCode.VERSION_TOO_OLD,
            f"transformers {version('transformers')} does not know model_type {model_type!r}{by}",
            "run `pip install --upgrade transformers`",
        )
    )


def packages_needed(folder: Path, *, runs_code: bool = False) -> Iterator[str]:
    """Packages without which the checkpoint can't be loaded, as far as its small files tell."""
    stored = _config(folder).get("quantization_config")
    if isinstance(stored, dict):
        yield from QUANTIZER_PACKAGES.get(str(stored.get("quant_method")), ())
    if not any((folder / name).is_file() for name in FAST_TOKENIZER):
        for pattern, packages in TOKENIZER_PACKAGES.items():
            if any(folder.glob(pattern)):
                yield from packages
    if runs_code:
        from transformers.dynamic_module_utils import get_imports

        for path in sorted(folder.glob("*.py")):
            yield from sorted(get_imports(path))


def _config(folder: Path) -> dict[str, Any]:
    """The config.json; empty where it is none, which is a finding of loading it."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}
